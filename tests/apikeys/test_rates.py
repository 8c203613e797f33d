"""How many requests a key may make in a minute: what is counted, and what is told of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from apikeys import counting, rates
from apikeys.counting import AWAY_SECONDS, SharedCounts
from apikeys.models import ApiKey
from apikeys.rates import WINDOW, Rates
from ocpp16.models import Command
from tests.api import error_of, make_api

ROOT, KEYS, ME = "/api/v1/ocpp16", "/api/v1/org/api-keys", "/api/v1/me"
NAMES = ["RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
NO_REDIS = "redis://127.0.0.1:1/0"
SECONDS = 10


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    for module in (rates, counting):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
async def client(servers: Any, make_key: Callable[..., str]) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    """`client(5)` acts with a key that may make five requests a minute."""
    clients: list[httpx2.AsyncClient] = []

    def client(rate: int | None, *scopes: str, **limits: Any) -> httpx2.AsyncClient:
        headers = {"X-API-Key": make_key(*scopes, requests_per_minute=rate, **limits)}
        clients.append(httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30))
        return clients[-1]

    yield client
    for each in clients:
        await each.aclose()


async def test_tells_what_is_left(client: Any) -> None:
    limited = client(3)
    for remaining in (2, 1, 0):
        headers = (await limited.get(ME)).headers
        seconds = int(headers["X-RateLimit-Reset"])
        assert 0 < seconds <= WINDOW
        assert headers["RateLimit"] == f'"key";r={remaining};t={seconds}'
        assert headers["RateLimit-Policy"] == '"key";q=3;w=60'
        assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("3", str(remaining))


async def test_refuses_one_too_many(client: Any, make_charge_point: Any) -> None:
    make_charge_point("CP-A")
    limited = client(1)
    assert (await limited.get(ME)).status_code == 200
    for response in (
        await limited.get(ME),
        await limited.post(f"{ROOT}/reset", json={"charge_point_id": "CP-A", "type": "Soft"}),
    ):
        error = error_of(response, 429, "rate_limited")
        assert error["details"] == {"requests_per_minute": 1}
        assert response.headers["Retry-After"] == response.headers["X-RateLimit-Reset"]
        assert response.headers["X-RateLimit-Remaining"] == "0"
    assert not Command.objects.exists()


async def test_counts_commands_and_reads_together_and_exactly(client: Any, make_charge_point: Any) -> None:
    make_charge_point("CP-A")
    limited = client(20)
    body = {"charge_point_id": "CP-A", "type": "Soft"}
    asked = [limited.post(f"{ROOT}/reset", json=body) if number % 2 else limited.get(ME) for number in range(50)]
    answers = await asyncio.gather(*asked)
    codes = Counter(answer.status_code for answer in answers)
    assert (codes[200] + codes[422], codes[429]) == (20, 30)
    left = sorted(int(answer.headers["X-RateLimit-Remaining"]) for answer in answers)
    assert left == [0] * 31 + list(range(1, 20))


async def test_tells_of_every_error_what_is_left(client: Any) -> None:
    limited = client(9, "write:charge_points")
    answers = [
        await limited.get("/api/nowhere"),
        await limited.get(KEYS),
        await limited.post(f"{ROOT}/reset", content=b"{", headers={"Content-Type": "application/json"}),
        await limited.post(f"{ROOT}/reset", json={"charge_point_id": "CP", "type": "Soft"}),
        await limited.get(f"{ROOT}/reset"),
    ]
    assert [answer.status_code for answer in answers] == [404, 403, 400, 404, 405]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["8", "7", "6", "5", "4"]


async def test_counts_who_looks_for_addresses(client: Any, servers: Any) -> None:
    limited = client(1)
    statuses = [(await limited.get("/api/v1/nowhere")).status_code for _ in range(2)]
    assert statuses == [404, 429]
    async with httpx2.AsyncClient(base_url=servers.http_url) as stranger:
        error_of(await stranger.get("/api/v1/nowhere"), 404, "not_found")


async def test_tells_every_key_what_is_left(client: Any) -> None:
    headers = (await client(None).get(ME)).headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("600000", "599999")


async def test_tells_nothing_of_a_key_that_is_none(client: Any) -> None:
    response = await client(5, allowed_addresses=["10.0.0.1"]).get(ME)
    assert response.status_code == 401
    assert not [name for name in NAMES if name in response.headers]


def test_tells_nothing_where_there_is_no_limit(settings: Any, db: None) -> None:
    settings.DYNAMO_API_RATE = 0
    response = make_api().get(ME)
    assert response.status_code == 200
    assert not [name for name in NAMES if name in response.headers]


async def test_counts_what_was_answered_before(client: Any) -> None:
    limited, headers = client(4), {"Idempotency-Key": "order-66"}
    body = {"name": "Portal", "scopes": ["read:sessions"]}
    first = await limited.post(KEYS, json=body, headers=headers)
    again = await limited.post(KEYS, json=body, headers=headers)
    other = await limited.post(KEYS, json={}, headers=headers)
    none = await limited.post(KEYS, json=body, headers={"Idempotency-Key": ""})
    answers = [first, again, other, none]
    assert [answer.status_code for answer in answers] == [201, 201, 422, 400]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["3", "2", "1", "0"]
    error_of(await limited.post(KEYS, json=body, headers=headers), 429, "rate_limited")


async def test_counts_each_key_for_itself(client: Any) -> None:
    first, second = client(1), client(1)
    statuses = [(await each.get(ME)).status_code for each in (first, first, second)]
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize(("own", "asked"), [(5, 6), (5, None)])
async def test_grants_no_higher_rate_than_its_own(client: Any, own: int, asked: int | None) -> None:
    body = {"name": "Portal", "scopes": ["read:sessions"]}
    limited = client(own)
    response = await limited.post(KEYS, json={**body, "requests_per_minute": asked})
    assert error_of(response, 403, "forbidden")["details"] == {"exceeds": ["requests_per_minute"]}
    assert (await limited.post(KEYS, json=body)).json()["requests_per_minute"] == own
    assert (await limited.post(KEYS, json={**body, "requests_per_minute": 1})).json()["requests_per_minute"] == 1


@pytest.mark.parametrize("rate", [0, -1, 1_000_001, "5", 5.0])
async def test_refuses_a_rate_that_is_none(client: Any, rate: Any) -> None:
    body = {"name": "Portal", "scopes": ["read:sessions"], "requests_per_minute": rate}
    response = await client(None).post(KEYS, json=body)
    assert list(error_of(response, 400, "validation_error")["details"]) == ["requests_per_minute"]


def test_takes_the_rate_of_the_settings_for_a_key_without_its_own(settings: Any) -> None:
    settings.DYNAMO_API_RATE = 100
    own, asked = ApiKey(requests_per_minute=5), ApiKey()
    assert (own.rate, asked.rate) == (5, 100)
    assert asked.exceeds(own) == ["requests_per_minute"]
    assert ApiKey(requests_per_minute=101).exceeds(asked) == ["requests_per_minute"]
    assert not own.exceeds(asked)


@pytest.mark.parametrize("redis_url", ["", NO_REDIS])
def test_begins_anew_a_minute_after_the_first(clock: SimpleNamespace, redis_url: str) -> None:
    counted = Rates(redis_url)
    assert counted.add({"a": 1})["a"] == (1, WINDOW)
    clock.now += WINDOW - 1
    assert counted.add({"a": 2, "b": 1}) == {"a": (3, 1), "b": (1, WINDOW)}
    clock.now += 1
    assert counted.add({"a": 1})["a"] == (1, WINDOW)


def test_asks_a_redis_that_is_away_only_now_and_then(clock: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    counted = Rates(NO_REDIS)
    for _ in range(100):
        counted.add({"a": 1})
    assert len(caplog.records) == 1
    clock.now += AWAY_SECONDS
    assert counted.add({"a": 1})["a"].used == 101
    assert len(caplog.records) == 2


def test_has_one_alone_wait_to_see_whether_redis_is_back(clock: SimpleNamespace) -> None:
    counted, looking, seen = SharedCounts(NO_REDIS, "Requests"), Event(), Event()

    def look(_: Any) -> bool:
        looking.set()
        return seen.wait(SECONDS)

    counted.ask(lambda redis: redis.ping())
    clock.now += AWAY_SECONDS
    with ThreadPoolExecutor(1) as threads:
        one = threads.submit(counted.ask, look)
        assert looking.wait(SECONDS)
        meanwhile = counted.ask(lambda _: True)
        seen.set()
    assert (one.result(), meanwhile, counted.ask(lambda _: True)) == (True, None, True)


def test_holds_no_more_than_a_minute_of_keys(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "PRUNED_AT", 100)
    counted = Rates("")
    for number in range(1000):
        counted.add({f"key-{number}": 1})
        clock.now += 1
    assert len(counted._here._windows) < 4 * WINDOW
