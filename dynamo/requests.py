"""Daphne's HTTP side: a request is bounded in size and in time while it arrives, and an upgrade is eased."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from http import HTTPStatus
from typing import Any

from daphne.http_protocol import HTTPFactory, WebRequest
from twisted.internet.protocol import connectionDone
from twisted.web import http

from ocpp16 import metrics

from . import proxies
from .headers import BARE
from .metrics import unread
from .middleware import sane_request_id

logger = logging.getLogger(__name__)

# Twisted knows no phrases for these.
http.RESPONSES |= {422: b"Unprocessable Content", 429: b"Too Many Requests"}

MAXIMUM_BODY = 1024 * 1024
# A request has arrived whole, or its connection has ended, within ten seconds.
REQUEST_SECONDS = 9
IDLE_SECONDS = 60
UNSENT_SECONDS = 30
UNPRINTABLE = re.compile(rb"[^!-~]")


class Request(WebRequest):
    """An HTTP request whose body is cut while it arrives, not after it filled the disk."""

    body_length = 0
    is_refused = False

    def __init__(self, *args: Any, **options: Any) -> None:
        # Forms are Django's to parse; Twisted would answer a broken one by itself.
        super().__init__(*args, parsePOSTFormSubmission=False, **options)

    def gotLength(self, length: int | None) -> None:  # noqa: N802  Twisted's name
        super().gotLength(length)
        if length is not None and length > MAXIMUM_BODY:
            self._refuse()

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        self.body_length += len(data)
        if not self.is_refused and self.body_length > MAXIMUM_BODY:
            self._refuse()
        if not self.is_refused:
            super().handleContentChunk(data)
        elif self.body_length > 16 * MAXIMUM_BODY:
            self.channel.transport.abortConnection()

    def process(self) -> Any:
        if self.is_refused:
            return self.channel.loseConnection()
        if self.channel.factory.server.is_ending:
            request_id = self.getHeader("X-Request-Id") or ""
            self.channel.answer(503, "service_unavailable", "This server is shutting down.", request_id)
            return self.channel.loseConnection()
        proxies.sift(self.requestHeaders, self.channel.getPeer().host)
        if self.requestHeaders.getRawHeaders(b"Upgrade", [b""])[0].lower() == b"websocket":
            self._ease_handshake()
        connection = self.transport
        processed = super().process()
        if self.transport is None:
            # The connection is a WebSocket's now. Its producer is the channel still, which holds all that was said.
            connection.unregisterProducer()
            self.channel.requests.clear()
        return processed

    def handle_exception(self, exception: Exception) -> None:
        """Cut a response short that had begun: Daphne would raise, and look after no other connection from then on."""
        if self._response_started:
            self.channel.transport.abortConnection()
        else:
            super().handle_exception(exception)

    def _ease_handshake(self) -> None:
        """Take away what Autobahn refuses charge points for, though it does no harm: an Origin, a word said twice."""
        headers = self.requestHeaders
        # No browser's cookies open this door, so the origin of a page says nothing here.
        headers.removeHeader(b"Origin")
        offered = b",".join(headers.getRawHeaders(b"Sec-WebSocket-Protocol", []))
        protocols = [UNPRINTABLE.sub(b"?", word.strip()) for word in offered.split(b",") if word.strip()]
        headers.removeHeader(b"Sec-WebSocket-Protocol")
        if protocols:
            headers.addRawHeader(b"Sec-WebSocket-Protocol", b", ".join(dict.fromkeys(protocols)))

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Send the head of an answer with the body that comes at once."""
        if self.finished or self.channel is None:
            return
        with self.channel.transport.gathering():
            super().handle_reply(message)

    def _refuse(self) -> None:
        # The rest of the body is read and dropped: closing at once would reset the connection under our answer.
        self.is_refused = True
        request_id = self.getHeader("X-Request-Id") or ""
        self.channel.answer(413, "payload_too_large", "The body is larger than 1 MiB.", request_id)


class Channel(http.HTTPChannel):
    """An HTTP connection on which each request has so many seconds to arrive in, not so many for each byte."""

    def connectionMade(self) -> None:  # noqa: N802
        self.may_write = asyncio.Event()
        self.may_write.set()
        super().connectionMade()
        self.setTimeout(REQUEST_SECONDS)

    def connectionLost(self, reason: Any = connectionDone) -> None:  # noqa: N802
        self.may_write.set()
        super().connectionLost(reason)

    def pauseProducing(self) -> None:  # noqa: N802
        self.may_write.clear()
        super().pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        self.may_write.set()
        super().resumeProducing()

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what it was sent; hang up on one that takes too long."""
        try:
            await asyncio.wait_for(self.may_write.wait(), UNSENT_SECONDS)
        except TimeoutError:
            logger.info("%s did not read its answer for %d seconds", self.getPeer().host, UNSENT_SECONDS)
            unread.inc()
            self.transport.abortConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:  # noqa: N802
        if self.timeOut == IDLE_SECONDS:
            self.setTimeout(REQUEST_SECONDS)
        super().dataReceived(data)

    def resetTimeout(self) -> None:  # noqa: N802
        """Twisted would begin anew with every byte."""

    def allContentReceived(self) -> None:  # noqa: N802
        self.setTimeout(IDLE_SECONDS)  # from our answer on, for the next request to begin
        super().allContentReceived()

    def timeoutConnection(self) -> None:  # noqa: N802
        has_begun = self.timeOut == REQUEST_SECONDS and (self.requests or self._buffer)
        if has_begun and not any(request.is_refused for request in self.requests):
            logger.info("A request of %s did not arrive within %d seconds", self.getPeer().host, REQUEST_SECONDS)
            metrics.refused.labels("no whole request in time").inc()
            self.answer(408, "timeout", "The request did not arrive in time.")
        super().timeoutConnection()

    def answer(self, status: int, code: str, message: str, request_id: str = "") -> None:
        """Write the API's error envelope to a request that will not reach the application."""
        body = json.dumps({"error": {"code": code, "message": message, "details": {}}}).encode()
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
        head += f"X-Request-Id: {sane_request_id(request_id)}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in BARE.items())
        head += f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        self.write(head.encode() + body)


class RequestFactory(HTTPFactory):
    protocol = Channel

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = Request
        return protocol

    def log(self, request: Any) -> None:
        """Nothing: Twisted's line of each request would go nowhere. The access log is dynamo/middleware.py's."""
