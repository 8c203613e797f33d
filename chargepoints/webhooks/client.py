"""The HTTP of webhooks: one POST to an address that was looked at, and what was answered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpcore2

from .addresses import AddressRefused, resolve

logger = logging.getLogger(__name__)

SECONDS = 10
MAXIMUM_ANSWER = 64 * 1024
KEPT_ANSWER = 2000
# Many servers close what is idle for five seconds, and might do so just when the next request comes.
IDLE_SECONDS = 4
FAILURES = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)


@dataclass
class Answer:
    """What became of a request: a status and the beginning of the body, or why there is none."""

    status_code: int | None = None
    body: str = ""
    error: str = ""
    duration_ms: int = 0

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300


class CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the very addresses that were found to be allowed; TLS still asks for the host by its name."""

    def __init__(self) -> None:
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        *others, last = await resolve(host, port)
        for address in others:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError:
                continue
        return await self._backend.connect_tcp(last, port, timeout, local_address, socket_options)


class Client:
    """Sends requests to many hosts at once; follows no redirect and no proxy of the environment."""

    def __init__(self) -> None:
        # TLS to a host is that host's, whoever's endpoint it is, so connections may be shared.
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpcore2.default_ssl_context(),
            max_connections=None,
            max_keepalive_connections=200,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=CheckedBackend(),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer, whatever it is, within SECONDS."""
        answer, began = Answer(), time.monotonic()
        try:
            async with asyncio.timeout(SECONDS):
                await self._post(url, headers, body, answer)
        except TimeoutError:
            answer.error = f"No whole answer within {SECONDS} seconds."
        except AddressRefused as refused:
            answer.error = str(refused)
        except FAILURES as error:
            answer.error = f"{type(error).__name__}: {error}"[:300]
        except Exception:
            logger.exception("A webhook could not be sent to %s", url)
            answer.error = "The request could not be made."
        answer.duration_ms = round((time.monotonic() - began) * 1000)
        return answer

    async def _post(self, url: str, headers: dict[str, str], body: bytes, answer: Answer) -> None:
        async with self._pool.stream("POST", url, headers=list(headers.items()), content=body) as response:
            answer.status_code = response.status
            read = bytearray()
            async for chunk in response.aiter_stream():
                read += chunk
                answer.body = kept(read)
                if len(read) >= MAXIMUM_ANSWER:
                    return  # and closes the connection


def kept(read: bytearray) -> str:
    """As much of an answer as its history keeps, as text that every database holds."""
    return bytes(read[:KEPT_ANSWER]).decode(errors="replace").replace("\x00", "\ufffd")
