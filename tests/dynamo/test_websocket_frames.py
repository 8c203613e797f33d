"""What is read and written without Autobahn, as another implementation of RFC 6455 writes and reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from dynamo.websocket_frames import is_empty_pong, text_frame, whole_text

pytestmark = pytest.mark.without_services

LENGTHS = (0, 1, 125, 126, 127, 65_535)


def frame(data: bytes, opcode: Opcode = Opcode.TEXT, mask: bool = True, **more: bool) -> bytes:
    return Frame(opcode, data, **more).serialize(mask=mask)


@pytest.mark.parametrize("length", LENGTHS)
def test_reads_a_message_of_any_length_that_two_bytes_can_tell(length: int) -> None:
    assert whole_text(frame(b"x" * length)) == b"x" * length


@given(st.text())
def test_reads_any_text(text: str) -> None:
    assert whole_text(frame(text.encode())) == text.encode()


@pytest.mark.parametrize("length", [*LENGTHS, 65_536])
def test_writes_a_message_of_any_length(length: int) -> None:
    stream = StreamReader()
    stream.feed_data(text_frame(b"x" * length))
    parsing = Frame.parse(stream.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        next(parsing)
    assert (done.value.value.opcode, done.value.value.fin, done.value.value.data) == (Opcode.TEXT, True, b"x" * length)


LEFT_TO_AUTOBAHN = {
    "nothing": b"",
    "a part of the header": frame(b"text")[:5],
    "a part of the message": frame(b"text")[:-1],
    "two messages": frame(b"one") + frame(b"two"),
    "a fragment": frame(b"text", fin=False),
    "the end of a message": frame(b"text", Opcode.CONT),
    "bytes": frame(b"text", Opcode.BINARY),
    "a ping": frame(b"text", Opcode.PING),
    "a closing": frame(b"\x03\xe8", Opcode.CLOSE),
    "a reserved bit": b"\xc1" + frame(b"text")[1:],
    "no mask": frame(b"text", mask=False),
    "no text": frame(b"\xff\xfe"),
    "a length written longer than it needs": b"\x81\xfe\x00\x01" + bytes(4) + b"x",
    "a length of eight bytes": frame(b"x" * 65_536),
}


@pytest.mark.parametrize("data", LEFT_TO_AUTOBAHN.values(), ids=LEFT_TO_AUTOBAHN)
def test_leaves_all_else_to_autobahn(data: bytes) -> None:
    assert whole_text(data) is None
    assert not is_empty_pong(data)


NO_EMPTY_PONG = {
    "with a payload": frame(b"4", Opcode.PONG),
    "without a mask": frame(b"", Opcode.PONG, mask=False),
    "and another": frame(b"", Opcode.PONG) + frame(b"", Opcode.PONG),
    "a ping": frame(b"", Opcode.PING),
}


def test_knows_an_empty_pong() -> None:
    assert is_empty_pong(frame(b"", Opcode.PONG))


@pytest.mark.parametrize("data", NO_EMPTY_PONG.values(), ids=NO_EMPTY_PONG)
def test_takes_nothing_else_for_one(data: bytes) -> None:
    assert not is_empty_pong(data)
