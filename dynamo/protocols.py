"""Daphne's WebSocket side, with refusals that carry a status and bounds on what a peer can make us hold."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import txaio
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol

from ocpp16 import metrics
from ocpp16.handshake import ADDRESS_LENGTH
from ocpp16.journal import journal

from . import proxies, websocket_frames
from .connections import watch
from .headers import BARE

logger = logging.getLogger(__name__)

# Autobahn formats several lines for each message, for a log of its own that nobody reads: half of a message's cost.
txaio.set_global_log_level("info")  # type: ignore[attr-defined]

MAXIMUM_UNSENT = 1024 * 1024
MAXIMUM_QUEUED = 64
# As much as the largest message has.
MAXIMUM_HELD = 4 * 1024 * 1024
# Of a byte each, the fragments of one message would take a hundred times its length.
MAXIMUM_FRAGMENTS = 10_000
MAXIMUM_EARLY = 64 * 1024
# So long a peer is read at a time, and as long it rests then: half of the event loop is the most that it gets.
TURN_SECONDS = 0.002
POLICY_VIOLATION = 1008
UNSENT_SECONDS = 30
CONNECT_SECONDS = 60
PING_SECONDS = 20
# A peer that has answered pings and falls silent for this long is gone, though its TCP connection may look alive.
SILENCE_SECONDS = 45


class ChargePointProtocol(WebSocketProtocol):
    """A WebSocket whose handshake can be denied with any HTTP status, and that bounds what its peer makes us hold."""

    send_pings = True
    was_pinged = answers_pings = False
    unsent_since: float | None = None
    paused = resting = False
    early = b""
    held = fragments = 0
    check_at = 0.0

    def connectionMade(self) -> None:  # noqa: N802  Twisted's name
        super().connectionMade()
        self.heard_at = self.pinged_at = time.monotonic()
        watch(self.transport.getHandle())

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        self.heard_at = time.monotonic()
        if hasattr(self, "handshake_deferred"):
            # Frames that came before our answer to the handshake, which Autobahn would take for more of the request.
            self.early += data
            if len(self.early) > MAXIMUM_EARLY:
                self.hang_up("too much before the handshake was answered")
        elif not self.awaits_frame() or not self._take_whole(data):
            super().dataReceived(data)

    def awaits_frame(self) -> bool:
        """Whether what comes next begins a frame, and the frame a message, that may be taken now."""
        if self.state != self.STATE_OPEN or self.paused or self.resting:
            return False
        return not self.data and self.current_frame is None and not self.inside_message

    def _take_whole(self, data: bytes) -> bool:
        """Take what nearly always comes, at a tenth of what Autobahn needs to make sure of it; False for all else."""
        if websocket_frames.is_empty_pong(data):
            self.onPong(b"")
            return True
        text = websocket_frames.whole_text(data)
        if text is not None:
            self.onMessage(text, False)
        return text is not None

    def consumeData(self) -> None:  # noqa: N802
        """Read the frames that have come, but not for long: 64 KiB hold ten thousand pings."""
        if self.state not in (self.STATE_OPEN, self.STATE_CLOSING):
            super().consumeData()
            return
        began = time.monotonic()
        while not self.paused and not self.resting and self.processData() and self.state != self.STATE_CLOSED:
            spent = time.monotonic() - began
            if spent > TURN_SECONDS:
                self.resting = True
                self.transport.pauseProducing()
                asyncio.get_running_loop().call_later(spent, self._read_on)

    def _read_on(self) -> None:
        """Read again after a rest, or after the queue was full."""
        self.resting = False
        self.consumeData()
        if not self.paused and not self.resting:
            self.transport.resumeProducing()

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: N802, N803
        super().onMessageBegin(isBinary)
        self.fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:  # noqa: N802
        super().onMessageFrameBegin(length)
        self.fragments += 1
        if self.fragments == MAXIMUM_FRAGMENTS:
            self.refuse("too many fragments")

    def onMessageFrameEnd(self) -> None:  # noqa: N802
        if self.fragments < MAXIMUM_FRAGMENTS:
            super().onMessageFrameEnd()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        """Queue a message; of too many read no further, of too many bytes hang up: no charge point sends so unasked."""
        if self.state != self.STATE_OPEN:
            return
        if self.held > MAXIMUM_HELD:
            self.refuse("too much before we could answer")
            return
        super().onMessage(payload, isBinary)
        self.held += len(payload)
        if not self.paused and self.application_queue.qsize() >= MAXIMUM_QUEUED:
            self.pause()

    def onPong(self, payload: bytes) -> None:  # noqa: N802
        self.answers_pings = True

    def taken(self, message: dict[str, Any]) -> None:
        """Called when the application has taken a message: read on if the queue has room again."""
        self.held -= len((message.get("text") or "").encode())
        if self.paused and self.state == self.STATE_OPEN and self.application_queue.qsize() < MAXIMUM_QUEUED // 2:
            self.paused = False
            if not self.resting:
                self._read_on()

    def pause(self) -> None:
        """Read nothing more, until there is room in the queue."""
        self.paused = True
        self.transport.pauseProducing()

    def handle_reply(self, message: dict[str, Any]) -> None:
        if message["type"] == "websocket.http.response.start":
            self.denial = message
        elif message["type"] == "websocket.http.response.body":
            self.deny(self.denial["status"], self.denial["headers"], message["body"])
        elif message["type"] == "websocket.close" and self.state == self.STATE_OPEN:
            self.sendClose(code=message.get("code") or 1000, reason=message.get("reason"))
        else:
            self.send_pings = message.get("dynamo.send_pings", self.send_pings)
            super().handle_reply(message)
            if message["type"] == "websocket.accept":
                self._begin_conversation()

    def _begin_conversation(self) -> None:
        """Let go of what the handshake said, passwords among it, and take what came before it was answered."""
        self.http_headers.clear()
        self.clean_headers.clear()  # the application's, too
        if self.early:
            early, self.early = self.early, b""
            self.dataReceived(early)

    def deny(self, status: int, headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b"") -> None:
        """End the handshake with an HTTP response instead of an upgrade."""
        if not hasattr(self, "handshake_deferred"):
            return
        del self.handshake_deferred
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        lines += [f"{name}: {value}".encode() for name, value in BARE.items()]
        lines += [b"Content-Length: %d" % len(body), b"Connection: close", b"", body]
        self.sendData(b"\r\n".join(lines))
        self.dropConnection(abort=False)
        self.server.protocol_disconnected(self)

    def failHandshake(self, reason: str, code: int = 400, responseHeaders: Any = None) -> None:  # noqa: N802, N803
        """Refuse what is no handshake of RFC 6455, where operations staff see it."""
        journal.start()
        metrics.refused.labels("no WebSocket handshake").inc()
        # Without the query, where a charge point may have put its password.
        path = getattr(self, "http_request_uri", "").partition("?")[0].replace("\x00", "")[:300]
        address = self.http_headers.get(proxies.FOR.lower(), self.transport.getPeer().host)[:ADDRESS_LENGTH]
        journal.refusal(identity="", address=address, reason="no WebSocket handshake", path=path, protocols="")
        super().failHandshake(reason, code, responseHeaders)

    def sendClose(self, code: int | None = None, reason: str | None = None) -> None:  # noqa: N802
        """Close with any code of RFC 6455: Autobahn's own method knows only 1000 and those of applications."""
        if code == POLICY_VIOLATION:
            self.pause()  # it would flood us until it has read this
        self.sendCloseFrame(code=code, reasonUtf8=(reason or "").encode()[:123])

    def say_goodbye(self) -> None:
        """Tell the peer of a live socket that the server goes away."""
        if self.state == self.STATE_OPEN:
            self.sendClose(code=1001, reason="the server is shutting down")

    def serverReject(self) -> None:  # noqa: N802
        self.deny(403)

    def serverSend(self, content: Any, binary: bool = False) -> None:  # noqa: N802
        if self.state != self.STATE_OPEN:
            return  # it is closing, and takes no more
        if not self.unsent():
            self.unsent_since = None  # taken between two checks
        if binary:
            super().serverSend(content, binary)
            return
        self.transport.write(websocket_frames.text_frame(content.encode()))
        self._check_amount()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:  # noqa: N802
        super().sendData(data, sync, chopsize)
        self._check_amount()

    def _check_amount(self) -> None:
        unsent = self.unsent()
        if unsent:
            self.check_at = 0
        if unsent > MAXIMUM_UNSENT:
            self.hang_up("too much unsent")

    def refuse(self, reason: str) -> None:
        """Close with 1008 (policy violation), and drop what nobody has taken yet: none of it was acknowledged."""
        logger.info("Closed on %s: %s", self.transport.getPeer().host, reason)
        metrics.closed.labels(reason).inc()
        self.sendClose(POLICY_VIOLATION, reason)
        while not self.application_queue.empty():
            self.taken(self.application_queue.get_nowait())
        self.end_application(POLICY_VIOLATION)

    def end_application(self, code: int) -> None:
        """Have the application end, which is told of nothing that comes from now on."""
        self.muted = True
        self.application_queue.put_nowait({"type": "websocket.disconnect", "code": code})

    def hang_up(self, reason: str) -> None:
        """End the connection without a word: a peer that takes nothing from us would not hear it."""
        if self.state == self.STATE_OPEN:
            logger.info("Hung up on %s: %s", self.transport.getPeer().host, reason)
            metrics.closed.labels(reason).inc()
        self.dropConnection(abort=True)

    def unsent(self) -> int:
        """Bytes that the peer has not taken from us yet."""
        return len(self.transport.dataBuffer) - self.transport.offset + self.transport._tempDataLen

    def check_timeouts(self) -> None:
        """Called by Daphne every two seconds."""
        now = time.monotonic()
        if now < self.check_at:
            return
        if self.state == self.STATE_CONNECTING:
            if now - self.heard_at > CONNECT_SECONDS:
                metrics.refused.labels("no answer in time").inc()
                self.deny(503, [(b"Retry-After", b"30")])
        elif self.state == self.STATE_OPEN:
            self._check_unsent(now)
            self._check_silence(now)
            self.check_at = self._due_at(now)

    def _due_at(self, now: float) -> float:
        """Until when there will be nothing to do, if nothing is heard and all that is sent is taken."""
        if self.unsent():
            return now
        due_at = max(self.heard_at, self.pinged_at) + PING_SECONDS if self.send_pings else now + PING_SECONDS
        return min(due_at, self.heard_at + SILENCE_SECONDS) if self.answers_pings else due_at

    def _check_unsent(self, now: float) -> None:
        if not self.unsent():
            self.unsent_since = None
        elif self.unsent_since is None:
            self.unsent_since = now
        elif now - self.unsent_since > UNSENT_SECONDS:
            self.hang_up("unsent for too long")

    def _check_silence(self, now: float) -> None:
        silence = now - self.heard_at
        if self.answers_pings and silence > SILENCE_SECONDS and not self.paused:
            self.hang_up("silent")
        elif self.send_pings and (not self.was_pinged or min(silence, now - self.pinged_at) > PING_SECONDS):
            # The first at once: of a peer that falls silent later we know by it whether that means something.
            self.was_pinged, self.pinged_at = True, now
            self.transport.write(websocket_frames.EMPTY_PING)
            self._check_amount()


class ChargePointFactory(WebSocketFactory):
    protocol = ChargePointProtocol

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # A peer that breaks a rule is told which by a close code, where the default would just hang up.
        self.setProtocolOptions(failByDrop=False)
