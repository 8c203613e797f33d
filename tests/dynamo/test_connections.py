"""When a connection writes, on a real socket whose other end reads as the test wants."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.protocol import Protocol

from dynamo.connections import EagerConnection

pytestmark = pytest.mark.without_services


class Loop:
    """What a connection asks of Twisted's reactor and its loop: to be told when the kernel has or takes more."""

    def __init__(self) -> None:
        self.watched = False
        self._asyncioEventloop = self
        self.read: Callable[[], None] = lambda: None

    def add_reader(self, descriptor: int, read: Callable[..., None], *whose: Any) -> None:
        self.read = partial(read, *whose)

    def _readOrWrite(self, connection: Any, is_read: bool) -> None:
        assert is_read
        connection.doRead()

    def addReader(self, connection: Any) -> None:
        pass

    def addWriter(self, connection: Any) -> None:
        self.watched = True

    def removeWriter(self, connection: Any) -> None:
        self.watched = False

    def removeReader(self, connection: Any) -> None:
        pass

    def callLater(self, *call: Any) -> None:
        pass


class Pair:
    def __init__(self, ours: socket.socket, theirs: socket.socket) -> None:
        self.ours, self.theirs, self.loop = ours, theirs, Loop()
        self.connection = self.connect(self.loop)

    def connect(self, reactor: Any) -> EagerConnection:
        protocol: Any = Protocol()
        connection = EagerConnection(self.ours, protocol, ("127.0.0.1", 1), None, 0, reactor)
        protocol.makeConnection(connection)
        return connection

    def read(self) -> bytes:
        """All that has arrived."""
        data = b""
        try:
            while more := self.theirs.recv(1_000_000):
                data += more
        except BlockingIOError:
            pass
        return data


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield Pair(ours, theirs)


async def test_reads_until_it_pauses_and_when_it_goes_on(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the reactor that the server runs on, which is to know what it watches."""
    connection = pair.connect(AsyncioSelectorReactor(asyncio.get_running_loop()))
    taken: list[bytes] = []
    monkeypatch.setattr(connection.protocol, "dataReceived", taken.append)
    states = []
    for change in (connection.resumeProducing, connection.pauseProducing, connection.resumeProducing):
        change()
        pair.theirs.send(b"x")
        await asyncio.sleep(0.05)
        states.append(len(b"".join(taken)))
    assert states == [1, 1, 3]
    connection.stopReading()


def test_reads_what_the_loop_has_for_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []
    monkeypatch.setattr(pair.connection.protocol, "dataReceived", taken.append)
    pair.theirs.send(b"call")
    pair.loop.read()
    assert taken == [b"call"]


def test_writes_without_the_loop(pair: Pair) -> None:
    pair.connection.write(b"answer")
    assert pair.read() == b"answer"
    assert not pair.loop.watched


def test_keeps_what_the_kernel_does_not_take_and_what_comes_after_it(pair: Pair) -> None:
    first, second = b"1" * 20_000_000, b"2" * 10
    pair.connection.write(first)
    pair.connection.writeSequence([second])
    assert pair.loop.watched
    received = b""
    while pair.loop.watched:
        received += pair.read()
        pair.connection.doWrite()
    assert received + pair.read() == first + second
    pair.connection.write(b"3")
    assert pair.read() == b"3"


def test_writes_as_one_what_is_gathered(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def write(data: bytes) -> int:
        written.append(bytes(data))
        return len(data)

    monkeypatch.setattr(pair.connection, "writeSomeData", write)
    with pair.connection.gathering():
        pair.connection.writeSequence([b"head", b" and "])
        pair.connection.write(b"body")
        assert written == []
    assert written == [b"head and body"]


def test_gathers_within_a_gathering_for_that_one(pair: Pair) -> None:
    with pair.connection.gathering():
        pair.connection.write(b"first ")
        with pair.connection.gathering():
            pair.connection.write(b"second")
        assert pair.read() == b""
    assert pair.read() == b"first second"


def test_writes_nothing_more_once_it_is_aborted(pair: Pair) -> None:
    pair.connection.abortConnection()
    pair.connection.write(b"too late")
    assert pair.read() == b""


def test_leaves_it_to_the_loop_to_meet_a_peer_that_is_gone(pair: Pair) -> None:
    pair.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    pair.theirs.close()
    for _ in range(3):  # the reset may be on its way
        pair.connection.write(b"nobody hears this")
    assert pair.loop.watched
    assert isinstance(pair.connection.doWrite(), Exception)
