"""The WebSocket frames that nearly all of a charge point's traffic is, without what Autobahn must know for the rest."""

from __future__ import annotations

# Of a pinned release: in C, where there is a wheel for the machine.
from websockets.frames import apply_mask

# RFC 6455 section 5.2: the first byte of a frame that is a whole message, of a ping, and of a pong.
TEXT, PING, PONG = 0x81, 0x89, 0x8A
# The second holds the length, below 126, or says in how many bytes it follows; a client adds that it masks.
IN_TWO_BYTES, IN_EIGHT_BYTES = 126, 127
MASKED, MASK_LENGTH = 0x80, 4
SHORTEST = 2 + MASK_LENGTH
EMPTY_PING = bytes((PING, 0))


def is_empty_pong(data: bytes) -> bool:
    """Whether this is the answer to a ping of ours and nothing else."""
    return len(data) == SHORTEST and data[0] == PONG and data[1] == MASKED


def whole_text(data: bytes) -> bytes | None:
    """The text, in UTF-8, of one masked frame that is a message; None where this is anything else, more, or less."""
    if len(data) < SHORTEST or data[0] != TEXT:
        return None
    length, start = data[1] - MASKED, 2
    if length == IN_TWO_BYTES:
        length, start = int.from_bytes(data[2:4], "big"), 4
        if length < IN_TWO_BYTES:  # to be refused, as it fits into one
            return None
    elif not 0 <= length < IN_TWO_BYTES:
        return None
    payload = start + MASK_LENGTH
    if len(data) != payload + length:
        return None
    text = apply_mask(data[payload:], data[start:payload])
    return text if is_utf8(text) else None


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def text_frame(text: bytes) -> bytes:
    """A message of the server as one frame."""
    length = len(text)
    if length < IN_TWO_BYTES:
        return bytes((TEXT, length)) + text
    if length < 2**16:
        return bytes((TEXT, IN_TWO_BYTES)) + length.to_bytes(2, "big") + text
    return bytes((TEXT, IN_EIGHT_BYTES)) + length.to_bytes(8, "big") + text
