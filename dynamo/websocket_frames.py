"""The WebSocket frames that charge points send almost only, without what Autobahn must know for all others."""

from __future__ import annotations

from websockets.frames import apply_mask

TEXT, PONG = 0x81, 0x8A  # of one frame; RFC 6455 section 5.2
MASKED, TWO_BYTES = 0x80, 126
EMPTY_PONG_LENGTH = 6


def is_empty_pong(data: bytes) -> bool:
    """Whether this is the answer to a ping of ours and nothing else."""
    return len(data) == EMPTY_PONG_LENGTH and data[0] == PONG and data[1] == MASKED


def whole_text(data: bytes) -> bytes | None:
    """The text, in UTF-8, of one masked frame that is a message; None where this is anything else, more, or less."""
    if len(data) < 6 or data[0] != TEXT:
        return None
    length, start = data[1] - MASKED, 2
    if length == TWO_BYTES:
        length, start = int.from_bytes(data[2:4], "big"), 4
        if length < TWO_BYTES:  # to be refused, as it fits into one
            return None
    elif not 0 <= length < TWO_BYTES:
        return None
    if len(data) != start + 4 + length:
        return None
    text = apply_mask(data[start + 4 :], data[start : start + 4])
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
    if length < TWO_BYTES:
        return bytes((TEXT, length)) + text
    if length < 65_536:
        return bytes((TEXT, TWO_BYTES)) + length.to_bytes(2, "big") + text
    return bytes((TEXT, 127)) + length.to_bytes(8, "big") + text
