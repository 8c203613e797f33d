"""Peers that take their time: one byte after the other, never a whole request."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.charge_point import loopback_address
from tests.metrics import Read, moves_of

REQUEST = b"POST /api/v1/ocpp16/reset HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n"
UPGRADE = b"GET /ocpp16/CP HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
CHUNKED = REQUEST + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT, SLACK = 10, 3
GAP_SECONDS = 0.1

TRICKLES = {
    "request line": (b"", b"GET /" + b"a" * 4000),
    "headers": (REQUEST, b"X-A: " + b"a" * 4000),
    "many headers": (REQUEST, b"X-A: b\r\n" * 600),
    "handshake": (UPGRADE, b"Sec-WebSocket-Protocol: " + b"a" * 4000),
    "body": (REQUEST + b"Content-Length: 4000\r\n\r\n", b"{" + b" " * 3999),
    "body in chunks": (CHUNKED, b"1\r\n \r\n" * 4000),
    "body too large": (REQUEST + b"Content-Length: 4000000\r\n\r\n", b" " * 4000),
    "second request": (b"GET /livez HTTP/1.1\r\nHost: h\r\n\r\n", REQUEST + b"X-A: " + b"a" * 4000),
    "nothing": (b"", b""),
}

TOO_SLOW = [kind for kind in TRICKLES if kind not in ("body too large", "nothing")]


@dataclass
class Ended:
    """How the server ended a connection."""

    seconds: float
    answer: bytes


async def trickle(port: int, start: bytes, rest: bytes) -> Ended:
    """Send the start at once and the rest byte by byte, until the server hangs up."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(loopback_address(), 0))
    reading = asyncio.create_task(reader.read())
    writer.write(start)
    for byte in rest:
        if reading.done():
            break
        writer.write(bytes([byte]))
        await asyncio.wait([reading], timeout=GAP_SECONDS)
    answer = await asyncio.wait_for(reading, 60)
    writer.close()
    return Ended(time.monotonic() - began, answer)


@pytest.fixture(scope="module")
def moved(deployment: Any) -> Read:
    return moves_of(deployment.workers[:1])


@pytest.fixture(scope="module")
def ended(deployment: Any, moved: Read) -> dict[str, Ended]:
    """All of them at once."""

    async def all_at_once() -> list[Ended]:
        port = deployment.workers[0].port
        return await asyncio.gather(*(trickle(port, *parts) for parts in TRICKLES.values()))

    return dict(zip(TRICKLES, asyncio.run(all_at_once()), strict=True))


@pytest.mark.parametrize("kind", TRICKLES)
def test_ends_within_ten_seconds_in_total(ended: dict[str, Ended], kind: str) -> None:
    assert ended[kind].seconds < LIMIT + SLACK


@pytest.mark.parametrize("kind", TOO_SLOW)
def test_says_that_it_took_too_long(ended: dict[str, Ended], kind: str) -> None:
    answer = ended[kind].answer.rpartition(b"HTTP/1.1 ")[2]
    assert answer.startswith(b"408 Request Timeout\r\n")
    assert b"\r\nX-Request-Id: " in answer
    assert answer.endswith(
        b'{"error": {"code": "timeout", "message": "The request did not arrive in time.", "details": {}}}'
    )


def test_shows_in_a_metric(ended: dict[str, Ended], moved: Read) -> None:
    assert moved("dynamo_handshakes_refused_total", reason="no whole request in time") == len(TOO_SLOW)


def test_answers_a_body_that_is_too_large_once(ended: dict[str, Ended]) -> None:
    assert ended["body too large"].answer.startswith(b"HTTP/1.1 413 ")
    assert ended["body too large"].answer.count(b"HTTP/1.1") == 1


def test_says_nothing_to_a_connection_that_asked_nothing(ended: dict[str, Ended]) -> None:
    assert ended["nothing"].answer == b""


def test_answered_the_request_before_the_slow_one(ended: dict[str, Ended]) -> None:
    assert ended["second request"].answer.startswith(b"HTTP/1.1 200 ")
    assert ended["second request"].answer.count(b"HTTP/1.1") == 2
