"""Handshakes byte for byte, as hardware writes them and as no WebSocket library would."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType

from tests.charge_point import loopback_address

SECONDS = 10


@dataclass
class Answer:
    """What the server said to a handshake."""

    status: int
    headers: dict[str, str]
    body: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __aenter__(self) -> Answer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    @property
    def subprotocol(self) -> str | None:
        return self.headers.get("sec-websocket-protocol")


async def send_request(port: int, request: bytes, address: str = "") -> Answer:
    """Send these bytes and read the head of the answer, and its body unless it is an upgrade."""
    local = (address or loopback_address(), 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
    writer.write(request)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int(first.split()[1])
    length = int(headers.get("content-length", -1))
    body = b"" if status == 101 else await asyncio.wait_for(read_body(reader, length), SECONDS)
    return Answer(status, headers, body.decode(), reader, writer)


async def read_body(reader: asyncio.StreamReader, length: int) -> bytes:
    return await reader.read() if length < 0 else await reader.readexactly(length)


async def knock(
    port: int,
    target: str,
    *,
    protocols: str | None = "ocpp1.6",
    host: str | None = None,
    address: str = "",
    authorization: str | None = None,
    more: str = "",
) -> Answer:
    """Knock at a request target; `more` holds whole header lines."""
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host or f'127.0.0.1:{port}'}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ]
    lines += [] if protocols is None else [f"Sec-WebSocket-Protocol: {protocols}"]
    lines += [] if authorization is None else [f"Authorization: {authorization}"]
    lines += [more] if more else []
    return await send_request(port, ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8"), address)


async def status_of(port: int, target: str, **options: str | None) -> int:
    """The status with which the server answers a knock."""
    async with await knock(port, target, **options) as answer:  # type: ignore[arg-type]
        return answer.status
