"""The client's side of a WebSocket, with no more to it than a load needs: what the client costs, the servers lack."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.frames import apply_mask

FINAL, TEXT, CLOSE, PING, PONG = 0x80, 1, 8, 9, 10
MASK = os.urandom(4)


def frame(code: int, payload: bytes) -> bytes:
    """A masked frame (RFC 6455 section 5.2)."""
    if len(payload) < 126:
        head = bytes((FINAL | code, FINAL | len(payload)))
    else:
        head = bytes((FINAL | code, FINAL | 126)) + len(payload).to_bytes(2)
    return head + MASK + apply_mask(payload, MASK)


def handshake(url: str, identity: str, password: str) -> bytes:
    address = urlsplit(url)
    credentials = base64.b64encode(f"{identity}:{password}".encode()).decode()
    lines = [
        f"GET {address.path}/{identity} HTTP/1.1",
        f"Host: {address.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ocpp1.6",
        f"Authorization: Basic {credentials}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class WebSocket(asyncio.Protocol):
    """Hands each text to `on_text` and answers pings; `opened` and `closed` tell of its beginning and end."""

    def __init__(self, request: bytes, on_text: Callable[[bytes], None]) -> None:
        self.request, self.on_text = request, on_text
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.opened.done():
            head, end, rest = self.received.partition(b"\r\n\r\n")
            if not end:
                return
            self.received = rest
            self.open(head.partition(b"\r\n")[0])
        while self.take_frame():
            pass

    def open(self, status: bytes) -> None:
        if b" 101 " in status:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectionRefusedError(status.decode()))

    def take_frame(self) -> bool:
        """Take the first of the frames that were received; False if it is not whole yet."""
        received = self.received
        if len(received) < 2:
            return False
        length, start = received[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(received[2:start])
        end = start + length
        if len(received) < end:
            return False
        self.received = received[end:]
        self.take(received[0] & 15, received[start:end])
        return True

    def take(self, code: int, payload: bytes) -> None:
        if code == TEXT:
            self.on_text(payload)
        elif code == PING:
            self.transport.write(frame(PONG, payload))
        elif code == CLOSE:
            self.transport.close()

    def send(self, text: str) -> None:
        self.transport.write(frame(TEXT, text.encode()))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError("The server hung up during the handshake."))
        self.closed.set_result(None)

    async def close(self) -> None:
        self.transport.write(frame(CLOSE, (1000).to_bytes(2)))
        await asyncio.wait([self.closed], timeout=10)
        self.transport.close()


async def connect(url: str, identity: str, password: str, on_text: Callable[[bytes], None]) -> WebSocket:
    """An open socket; raises OSError where the server refuses."""
    address = urlsplit(url)
    request = handshake(url, identity, password)
    _, socket = await asyncio.get_running_loop().create_connection(
        lambda: WebSocket(request, on_text), address.hostname or "", address.port or 80
    )
    await socket.opened
    return socket
