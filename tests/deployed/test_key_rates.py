"""The requests of one key, made at two workers: its rate holds over both, and outlasts Redis."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx2
import pytest

from apikeys.rates import WINDOW

RATE, AT_ONCE = 20, 50
PATHS = ("/api/v1/me", "/api/v1/ocpp16/charge_points/status")
RESET = "/api/v1/ocpp16/reset"


@pytest.fixture
def key(servers: Any, make_key: Any) -> str:
    return make_key(requests_per_minute=RATE)


async def ask(deployment: Any, key: str, count: int) -> list[httpx2.Response]:
    """Make so many requests at once, reads and commands, half of them at each worker."""
    async with httpx2.AsyncClient(headers={"X-API-Key": key}, timeout=30) as client:

        def request(number: int) -> Any:
            url = f"http://127.0.0.1:{deployment.workers[number % 2].port}"
            if number % 4 < 2:
                return client.get(url + PATHS[number % 3 % 2])
            return client.post(url + RESET, json={"charge_point_id": "NONE", "type": "Soft"})

        return await asyncio.gather(*(request(number) for number in range(count)))


def passed(answers: list[httpx2.Response]) -> int:
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) <= {200, 404, 429}
    return codes[200] + codes[404]


async def test_lets_exactly_twenty_of_fifty_through_over_both_workers(deployment: Any, key: str) -> None:
    answers = await ask(deployment, key, AT_ONCE)
    assert passed(answers) == RATE
    left = sorted(int(answer.headers["X-RateLimit-Remaining"]) for answer in answers)
    assert left == [0] * (AT_ONCE - RATE + 1) + list(range(1, RATE))
    assert passed(await ask(deployment, key, 2)) == 0


async def test_leaves_no_count_without_an_end(deployment: Any, key: str) -> None:
    await ask(deployment, key, 4)
    with deployment.redis.client() as redis:
        assert int(redis.get(f"dynamo:rate:{key[:17]}")) == 4
        assert 0 < redis.ttl(f"dynamo:rate:{key[:17]}") <= WINDOW


async def test_begins_anew_when_the_count_has_ended(deployment: Any, key: str) -> None:
    await ask(deployment, key, AT_ONCE)
    with deployment.redis.client() as redis:
        redis.pexpire(f"dynamo:rate:{key[:17]}", 1)
    assert passed(await ask(deployment, key, AT_ONCE)) == RATE


async def test_counts_in_each_worker_while_redis_is_away(deployment: Any, key: str) -> None:
    deployment.redis.freeze()
    try:
        answers = await ask(deployment, key, 4 * RATE)
    finally:
        deployment.redis.thaw()
    assert passed(answers) == 2 * RATE
