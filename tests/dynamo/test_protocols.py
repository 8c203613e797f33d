"""What one peer can make the server hold, and how long: the protocol on a transport and a clock of the test's."""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import daphne.server
import pytest
from twisted.internet.testing import StringTransport

from dynamo import protocols
from dynamo.connections import KEEPALIVE
from dynamo.protocols import ChargePointProtocol
from dynamo.requests import RequestFactory
from dynamo.server import Server
from tests.conftest import eventually

pytestmark = pytest.mark.without_services

PING = b"\x89\x00"
CHECK_SECONDS = 2
HOUR = 3600


class Transport(StringTransport):
    """A TCP connection whose peer takes bytes only when the test says so."""

    def __init__(self, handle: socket.socket) -> None:
        super().__init__()
        self.handle, self.dataBuffer, self.offset, self._tempDataLen = handle, b"", 0, 0
        self.aborted = False

    def getHandle(self) -> socket.socket:
        return self.handle

    def write(self, data: bytes) -> None:
        super().write(data)
        self._tempDataLen += len(data)

    def take_all(self) -> bytes:
        """What the peer reads."""
        written = self.value()
        self.clear()
        self._tempDataLen = 0
        return written

    def unregisterProducer(self) -> None:
        self.producer = None

    def abortConnection(self) -> None:
        self.aborted = True


class Peer:
    """A charge point at the other end of the transport, and the clock."""

    def __init__(self, handle: socket.socket) -> None:
        self.now, self.pings = 1000.0, 0
        self.server = Server(self.application, "127.0.0.1", 0, None, ())
        self.server.connections = {}
        self.factory = protocols.ChargePointFactory(self.server, server="")
        self.protocol: ChargePointProtocol = self.factory.buildProtocol(None)
        self.protocol._raw_query_string = b""
        self.transport = Transport(handle)

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await asyncio.Future()

    def knock(self) -> None:
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(self.handshake())

    @staticmethod
    def handshake() -> bytes:
        lines = [
            "GET /ocpp16/CP HTTP/1.1",
            "Host: h",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: ocpp1.6",
            "Authorization: Basic secret",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def open(self, **accept: Any) -> None:
        self.knock()
        self.protocol.handle_reply({"type": "websocket.accept", "subprotocol": "ocpp1.6", **accept})
        assert self.transport.take_all().startswith(b"HTTP/1.1 101 ")

    def send(self, opcode: int, payload: bytes = b"") -> None:
        """Send a short frame under a mask of zeros."""
        self.protocol.dataReceived(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)

    def text(self) -> None:
        self.send(1, b"[]")

    def pong(self) -> None:
        self.send(10)

    def flood(self, pings: int) -> None:
        """Send so many at once, of which each takes a millisecond to read."""
        self.protocol.onPing = self.spend
        self.protocol.dataReceived((bytes([0x89, 0x80]) + bytes(4)) * pings)

    def spend(self, payload: bytes) -> None:
        self.now += 0.001
        self.pings += 1

    def tell(self, length: int) -> None:
        """Have the application send a message of this length."""
        self.protocol.handle_reply({"type": "websocket.send", "text": "x" * length})

    def wait(self, seconds: float, reads: bool = True) -> bytes:
        """Let time pass; returns what the server wrote, which the peer takes at once if it reads."""
        written = b""
        for _ in range(int(seconds / CHECK_SECONDS)):
            self.now += CHECK_SECONDS
            self.protocol.check_timeouts()
            written += self.transport.take_all() if reads else b""
        return written


@pytest.fixture
async def peer(monkeypatch: pytest.MonkeyPatch) -> Any:
    with socket.socket() as handle:
        peer = Peer(handle)
        monkeypatch.setattr(protocols, "time", SimpleNamespace(monotonic=lambda: peer.now))
        yield peer
        for details in peer.server.connections.values():
            details["application_instance"].cancel()


@pytest.fixture
def open_peer(peer: Peer) -> Iterator[Peer]:
    peer.open()
    return peer


async def test_keeps_nothing_of_its_handshake(peer: Peer) -> None:
    """A socket is kept for months: what the request said takes more than the conversation needs."""
    server = peer.server
    server.ws_factory = peer.factory
    peer.factory.buildProtocol = lambda address: peer.protocol
    channel: Any = RequestFactory(server).buildProtocol(None)
    channel.makeConnection(peer.transport)
    gone = weakref.ref(channel)
    channel.dataReceived(peer.handshake())
    del channel
    # As the server's checks have it a second later.
    server.connections = {peer.protocol: server.connections[peer.protocol]}
    server.leaving.clear()
    assert gone() is None
    await asyncio.sleep(0)
    assert (b"authorization", b"Basic secret") in peer.scope["headers"]
    peer.protocol.handle_reply({"type": "websocket.accept", "subprotocol": "ocpp1.6"})
    assert peer.transport.take_all().startswith(b"HTTP/1.1 101 ")
    assert not peer.scope["headers"]
    assert not peer.protocol.http_headers


async def test_pings_a_silent_peer_at_once_and_every_twenty_seconds(open_peer: Peer) -> None:
    assert open_peer.wait(2) == PING
    assert open_peer.wait(20) == b""
    assert open_peer.wait(2) == PING


async def test_pings_a_peer_that_talks_only_once(open_peer: Peer) -> None:
    assert open_peer.wait(2) == PING
    for _ in range(20):
        open_peer.text()
        assert open_peer.wait(10) == b""


async def test_does_not_ping_where_the_switch_is_off(peer: Peer) -> None:
    peer.open(**{"dynamo.send_pings": False})
    assert peer.wait(HOUR) == b""
    assert not peer.transport.aborted


async def test_keeps_a_peer_that_never_answers_pings(open_peer: Peer) -> None:
    assert open_peer.wait(HOUR).startswith(PING)
    open_peer.text()
    open_peer.wait(HOUR)
    assert not open_peer.transport.aborted


async def test_drops_a_peer_that_stopped_answering_pings(open_peer: Peer) -> None:
    open_peer.wait(22)
    open_peer.pong()
    open_peer.wait(44)
    assert not open_peer.transport.aborted
    open_peer.wait(4)
    assert open_peer.transport.aborted


async def test_keeps_a_peer_that_answers_pings(open_peer: Peer) -> None:
    for _ in range(100):
        open_peer.wait(22)
        open_peer.pong()
    assert not open_peer.transport.aborted


async def test_keeps_a_peer_that_talks_instead_of_answering_pings(open_peer: Peer) -> None:
    open_peer.pong()
    for _ in range(100):
        open_peer.wait(40)
        open_peer.text()
    assert not open_peer.transport.aborted


async def test_drops_a_peer_that_takes_nothing_for_thirty_seconds(open_peer: Peer) -> None:
    open_peer.tell(1000)
    open_peer.wait(30, reads=False)
    assert not open_peer.transport.aborted
    open_peer.wait(4, reads=False)
    assert open_peer.transport.aborted


async def test_keeps_a_peer_that_takes_its_time(open_peer: Peer) -> None:
    for _ in range(10):
        open_peer.tell(1000)
        open_peer.wait(26, reads=False)
        open_peer.wait(2)
    assert not open_peer.transport.aborted


async def test_drops_a_peer_that_takes_nothing_more_long_after_its_last_check(open_peer: Peer) -> None:
    open_peer.wait(10)
    open_peer.tell(1000)
    open_peer.wait(34, reads=False)
    assert open_peer.transport.aborted


async def test_forgets_a_connection_when_both_its_ends_have_ended(
    open_peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, connections = open_peer.server, open_peer.server.connections
    monkeypatch.setattr(daphne.server.reactor, "callLater", lambda *_: None)
    server.application_checker()
    server.protocol_disconnected(open_peer.protocol)
    server.application_checker()
    application = connections[open_peer.protocol]["application_instance"]
    application.cancel()
    await asyncio.wait([application])
    server.application_checker()
    assert server.connections is connections
    assert not connections


async def test_drops_a_peer_that_lets_a_mebibyte_pile_up(open_peer: Peer) -> None:
    for _ in range(16):
        open_peer.tell(65_000)
    assert not open_peer.transport.aborted
    open_peer.tell(65_000)
    assert open_peer.transport.aborted


async def test_drops_a_peer_that_pings_and_takes_no_pong(open_peer: Peer) -> None:
    for _ in range(protocols.MAXIMUM_UNSENT // 127):
        open_peer.send(9, b"x" * 125)
    assert not open_peer.transport.aborted
    for _ in range(2):
        open_peer.send(9, b"x" * 125)
    assert open_peer.transport.aborted


async def test_takes_frames_that_came_before_the_handshake_was_answered(peer: Peer) -> None:
    peer.knock()
    peer.send(1, b'["\r\n\r\n"]')
    peer.send(1, b"[2]")
    peer.protocol.handle_reply({"type": "websocket.accept", "subprotocol": "ocpp1.6"})
    peer.text()
    queue = peer.protocol.application_queue
    texts = [queue.get_nowait().get("text") for _ in range(queue.qsize())]
    assert texts == [None, '["\r\n\r\n"]', "[2]", "[]"]


async def test_drops_a_peer_that_floods_the_handshake(peer: Peer) -> None:
    peer.knock()
    for _ in range(protocols.MAXIMUM_EARLY // 1024):
        peer.protocol.dataReceived(b"x" * 1024)
    assert not peer.transport.aborted
    peer.protocol.dataReceived(b"x")
    assert peer.transport.aborted


async def test_reads_no_further_than_64_messages_ahead(open_peer: Peer) -> None:
    queue = open_peer.protocol.application_queue
    for _ in range(62):  # websocket.connect is the first of the queue
        open_peer.text()
    assert open_peer.transport.producerState == "producing"
    open_peer.text()
    assert open_peer.transport.producerState == "paused"
    open_peer.pong()
    open_peer.wait(HOUR)
    assert not open_peer.transport.aborted
    while queue.qsize() > 31:
        assert open_peer.transport.producerState == "paused"
        open_peer.protocol.taken(queue.get_nowait())
    assert open_peer.transport.producerState == "producing"


async def test_reads_a_flood_in_turns(open_peer: Peer) -> None:
    open_peer.flood(10)
    assert open_peer.pings == 3
    assert open_peer.transport.producerState == "paused"
    open_peer.text()
    assert open_peer.pings == 3
    await eventually(lambda: open_peer.pings == 10)
    await eventually(lambda: open_peer.transport.producerState == "producing")
    assert open_peer.protocol.application_queue.qsize() == 2


async def test_stays_paused_after_a_rest_where_the_queue_is_full(open_peer: Peer) -> None:
    open_peer.flood(3)
    open_peer.protocol.pause()
    await eventually(lambda: not open_peer.protocol.resting)
    assert open_peer.transport.producerState == "paused"


async def test_closes_on_a_peer_that_does_not_wait_for_our_answers(open_peer: Peer) -> None:
    queue = open_peer.protocol.application_queue
    queue.get_nowait()
    for _ in range(2):
        open_peer.protocol.onMessage("é".encode() * 2 * 1024 * 1024, isBinary=False)
    open_peer.protocol.taken(queue.get_nowait())
    open_peer.protocol.onMessage(b"x", isBinary=False)
    assert open_peer.transport.take_all() == b""
    open_peer.protocol.onMessage(b"x", isBinary=False)
    assert open_peer.transport.take_all() == b"\x88\x21\x03\xf0too much before we could answer"
    open_peer.protocol.onMessage(b"x", isBinary=False)
    assert queue.get_nowait() == {"type": "websocket.disconnect", "code": 1008}
    assert queue.empty()
    assert open_peer.transport.producerState == "paused"


async def test_closes_on_a_message_in_crumbs(open_peer: Peer) -> None:
    begin, crumb, end = (bytes([opcode, 0x81]) + bytes(4) + b"x" for opcode in (0x01, 0x00, 0x80))
    crumbs = protocols.MAXIMUM_FRAGMENTS - 3
    for _ in range(2):
        open_peer.protocol.dataReceived(begin + crumb * crumbs + end)
    assert open_peer.transport.take_all() == b""
    assert open_peer.protocol.application_queue.qsize() == 3
    open_peer.protocol.dataReceived(begin + crumb * (crumbs + 2))
    assert open_peer.transport.take_all() == b"\x88\x14\x03\xf0too many fragments"
    open_peer.protocol.dataReceived(crumb * 1000)
    assert len(open_peer.protocol.message_data) < protocols.MAXIMUM_FRAGMENTS


async def test_denies_a_handshake_that_nobody_answers(peer: Peer) -> None:
    peer.knock()
    assert peer.wait(60) == b""
    head, _, body = peer.wait(2).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 30" in head
    assert body == b""
    assert peer.transport.disconnecting


async def test_has_nobody_else_hang_up_on_a_handshake(peer: Peer) -> None:
    assert peer.server.websocket_handshake_timeout == 0


async def test_sends_nothing_more_once_it_closes(open_peer: Peer) -> None:
    open_peer.protocol.handle_reply({"type": "websocket.close", "code": 1000, "reason": "because"})
    open_peer.transport.take_all()
    open_peer.tell(10)
    assert open_peer.transport.take_all() == b""


async def test_denies_a_handshake_once(peer: Peer) -> None:
    peer.knock()
    start = {"type": "websocket.http.response.start", "status": 418, "headers": [(b"X-Why", b"tea")]}
    for _ in range(2):
        peer.protocol.handle_reply(start)
        peer.protocol.handle_reply({"type": "websocket.http.response.body", "body": b"no"})
    written = peer.transport.take_all()
    assert written.startswith(b"HTTP/1.1 418 I'm a Teapot\r\nX-Why: tea\r\n")
    assert written.endswith(b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
    assert written.count(b"HTTP/1.1") == 1
    assert peer.wait(HOUR) == b""


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1008, 1009, 1011])
async def test_closes_with_the_code_it_was_told(open_peer: Peer, code: int) -> None:
    open_peer.protocol.handle_reply({"type": "websocket.close", "code": code, "reason": "because"})
    assert open_peer.transport.take_all() == b"\x88\x09" + code.to_bytes(2, "big") + b"because"
    open_peer.protocol.handle_reply({"type": "websocket.close", "code": 1000, "reason": "again"})
    assert open_peer.transport.take_all() == b""


async def test_has_the_kernel_watch_the_connection(open_peer: Peer) -> None:
    handle = open_peer.transport.handle
    assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):
            assert handle.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) == value


async def test_gives_an_idle_peer_time_to_answer_the_kernel() -> None:
    patience = KEEPALIVE["TCP_USER_TIMEOUT"] / 1000
    assert patience >= KEEPALIVE["TCP_KEEPIDLE"] + KEEPALIVE["TCP_KEEPINTVL"]
