"""The client's side of HTTP, with no more to it than a load needs."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit


class HttpConnection:
    """A connection that is kept, with one request at a time: `await (await HttpConnection.open(...)).get(path)`."""

    def __init__(self, host: str, key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.headers = f"Host: {host}\r\nAuthorization: Bearer {key}\r\n"
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, url: str, key: str) -> HttpConnection:
        address = urlsplit(url)
        return cls(address.netloc, key, *await asyncio.open_connection(address.hostname, address.port))

    async def get(self, path: str) -> Any:
        return await self.request(f"GET {path} HTTP/1.1\r\n{self.headers}\r\n".encode())

    async def post(self, path: str, body: Any) -> Any:
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\n{self.headers}Content-Type: application/json\r\n"
        return await self.request(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    async def request(self, request: bytes) -> Any:
        """The JSON of the answer, which must be a 200."""
        self.writer.write(request)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.body(headers)
        if " 200 " not in f"{status} ":
            raise ConnectionError(f"{status}: {body[:300]!r}")
        return json.loads(body)

    async def body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readline()
        return body

    def close(self) -> None:
        self.writer.close()
