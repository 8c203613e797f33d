"""Wrong credentials, tried on both workers: the limits hold over all of them, and outlast Redis."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from apikeys.counting import AWAY_SECONDS
from tests.charge_point import basic, loopback_address
from tests.metrics import Read
from tests.ocpp16.knocking import status_of

KEY = bytes(range(0xE0, 0xF4))
MOMENT = 2


@pytest.fixture
def row(servers: Any, make_charge_point: Any) -> Any:
    return make_charge_point(password=KEY.hex())


@pytest.fixture
def try_key(deployment: Any, row: Any) -> Any:
    """`await try_key(worker, key, address)` is the status of a knock at one of the workers."""

    async def knock(worker: int, key: bytes, address: str = "", identity: str = "") -> int:
        identity = identity or row.identity
        port = deployment.workers[worker % 2].port
        return await status_of(port, f"/ocpp16/{identity}", authorization=basic(identity, key), address=address)

    return knock


async def test_allows_ten_failures_over_both_workers(try_key: Any) -> None:
    address = loopback_address()
    statuses = [await try_key(number, b"wrong", address) for number in range(14)]
    assert statuses == [401] * 10 + [429] * 4
    assert [await try_key(worker, KEY, address) for worker in (0, 1)] == [429, 429]


async def test_allows_ten_of_a_hundred_at_once(try_key: Any, moved: Read) -> None:
    address = loopback_address()
    statuses = await asyncio.gather(*(try_key(number, b"wrong", address) for number in range(100)))
    assert Counter(statuses) == {401: 10, 429: 90}
    assert moved("dynamo_handshakes_refused_total", reason="wrong password") == 10
    assert moved("dynamo_handshakes_refused_total", reason="too many failures") == 90


async def test_lets_the_real_charge_point_in_meanwhile(try_key: Any, make_charge_point: Any) -> None:
    address, neighbour = loopback_address(), make_charge_point(password=KEY.hex()).identity
    for number in range(12):
        await try_key(number, b"wrong", address)
    assert await try_key(0, KEY) == 101
    assert await try_key(1, KEY) == 101
    assert await try_key(0, KEY, address, neighbour) == 101
    assert await try_key(1, KEY, address, neighbour) == 101


async def test_allows_an_address_120_failures_over_both_workers(try_key: Any) -> None:
    address = loopback_address()
    statuses = [await try_key(number, b"x", address, f"GUESS-{number}") for number in range(124)]
    assert statuses == [404] * 120 + [429] * 4


async def test_counts_on_without_redis_and_lets_charge_points_in(deployment: Any, try_key: Any) -> None:
    address = loopback_address()
    deployment.redis.freeze()
    try:
        began = time.monotonic()
        assert await try_key(0, KEY) == 101
        statuses = [await try_key(0, b"wrong", address) for _ in range(12)]
        assert time.monotonic() - began < AWAY_SECONDS + MOMENT
    finally:
        deployment.redis.thaw()
    assert statuses == [401] * 10 + [429] * 2
