"""A receiver of webhooks: an HTTP server of the tests' own that keeps every request and answers as it is told to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import inspect
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .conftest import eventually


@dataclass
class Delivered:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.event["id"]

    def is_signed_with(self, secret: str) -> bool:
        """Whether a receiver that knows this secret believes the request, by the Standard Webhooks specification."""
        key = base64.b64decode(secret.split("_", 1)[1])
        signed = b".".join([self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(), self.body])
        expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return expected in self.headers["webhook-signature"].split(" ")


# A status and a body, told for a request, perhaps after a while.
Answer = Callable[[Delivered], Any]


@dataclass
class Receiver:
    """`answer` decides about each request; `requests` are all that came."""

    answer: Answer = lambda request: (200, b"ok")
    context: ssl.SSLContext | None = None
    requests: list[Delivered] = field(default_factory=list)
    connections: int = 0
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __aenter__(self) -> Receiver:
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.server.close()
        for task in self.serving:
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.create_task(self.serve(reader, writer)))

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://localhost:{self.port}/hook?a=b"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while request := await self.read(reader):
                self.requests.append(request)
                answer = self.answer(request)
                status, body = await answer if inspect.isawaitable(answer) else answer
                writer.write(
                    b"HTTP/1.1 %d X\r\nLocation: /other\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
                )
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def read(self, reader: asyncio.StreamReader) -> Delivered | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        return Delivered(first.split(" ")[1], headers, body)

    async def received(self, count: int, seconds: float = 10) -> list[Delivered]:
        """The first so many requests, as soon as they have come."""
        await eventually(lambda: len(self.requests) >= count, seconds)
        return self.requests[:count]
