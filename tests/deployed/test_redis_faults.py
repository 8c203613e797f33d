"""Redis that is killed, gone, frozen or emptied: charge points notice nothing, and commands that need it say so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest

from chargepoints.models import MeterValue, Transaction
from tests.charge_point import ChargePointClient
from tests.metrics import Read

from .fleet import assert_all_live, fleet, reset, timed

pytestmark = pytest.mark.timeout(300)

ANSWER_SECONDS = 5
RETURN_SECONDS = 5
ROUNDS_PER_SECOND = 50


@pytest.fixture
async def apis(deployment: Any, api: httpx2.AsyncClient) -> AsyncIterator[list[httpx2.AsyncClient]]:
    """The API of each worker."""
    url = f"http://127.0.0.1:{deployment.workers[1].port}"
    async with httpx2.AsyncClient(base_url=url, headers=api.headers, timeout=30) as other:
        yield [api, other]


@pytest.fixture
async def clients(
    deployment: Any, servers: Any, make_charge_point: Any, scale: Callable[[int, int], int]
) -> AsyncIterator[list[ChargePointClient]]:
    """Charge points on both workers, which obey."""
    async with fleet(deployment, make_charge_point, scale(50, 1000)) as connected:
        obeying = [asyncio.create_task(obey(client)) for client in connected]
        yield connected
        for task in obeying:
            task.cancel()


async def obey(client: ChargePointClient) -> None:
    while True:
        call = await client.calls.get()
        await call.reply(status="Accepted")


@asynccontextmanager
async def conversing(clients: list[ChargePointClient]) -> AsyncIterator[None]:
    """Every charge point goes on all the while; in the end all that it sent was answered, and is stored."""
    ended = asyncio.Event()
    period = len(clients) / ROUNDS_PER_SECOND
    talks = [
        asyncio.create_task(talk(client, number / ROUNDS_PER_SECOND, period, ended))
        for number, client in enumerate(clients)
    ]
    try:
        yield
    finally:
        ended.set()
    measured = sum(await asyncio.gather(*talks))
    assert_all_live(clients)
    assert Transaction.objects.count() == MeterValue.objects.count() == measured


async def talk(client: ChargePointClient, pause: float, period: float, ended: asyncio.Event) -> int:
    """Start, measure and be there again and again; returns how often."""
    count = 0
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), pause)
            return count
        count += 1
        await client.start(connector_id=count)
        await client.measure(str(100 + count), "2026-01-01T10:00:00Z", connector_id=count)
        await client.call("Heartbeat")
        pause = period


async def commands_refused(apis: list[httpx2.AsyncClient], clients: list[ChargePointClient]) -> None:
    """Commands to the other worker end as unavailable soon, several at once; those to the same need no Redis."""
    sending = [timed(reset(apis[1 - number % 2], client)) for number, client in enumerate(clients[:10])]
    for response, seconds in await asyncio.gather(*sending):
        assert (response.status_code, response.json()["error"]["code"]) == (503, "service_unavailable")
        assert seconds < ANSWER_SECONDS
    for number, client in enumerate(clients[:2]):
        assert (await reset(apis[number], client)).status_code == 200
    await asyncio.sleep(0.2)  # ten commands a second are let through


async def commands_work(apis: list[httpx2.AsyncClient], clients: list[ChargePointClient]) -> None:
    """From either worker a command reaches charge points on both, soon after the return."""
    await asyncio.gather(*(command_works(api, client) for api in apis for client in clients[:2]))


async def command_works(api: httpx2.AsyncClient, client: ChargePointClient) -> None:
    deadline = time.monotonic() + RETURN_SECONDS
    while (await reset(api, client)).status_code != 200:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)  # ten commands a second are let through


async def test_is_missed_by_commands_only_while_it_is_gone(
    deployment: Any,
    apis: list[httpx2.AsyncClient],
    clients: list[ChargePointClient],
    make_charge_point: Any,
    moved: Read,
    scale: Callable[[int, int], int],
) -> None:
    await commands_work(apis, clients)
    async with conversing(clients):
        deployment.redis.kill()
        until = time.monotonic() + scale(2, 20)
        await commands_refused(apis, clients)
        async with fleet(deployment, make_charge_point, 2) as newcomers:
            while time.monotonic() < until:
                await commands_refused(apis, clients)
            await asyncio.to_thread(deployment.redis.start)
            obeying = [asyncio.create_task(obey(client)) for client in newcomers]
            await commands_work(apis, newcomers)  # they came while there was nothing to subscribe to
            for task in obeying:
                task.cancel()
        await commands_work(apis, clients)
    assert moved("dynamo_channel_layer_failures_total", during="connection") > 0
    assert moved("dynamo_http_requests_total", status="503") == moved("dynamo_commands_total", outcome="lost") > 0


async def test_is_missed_by_commands_only_while_it_is_frozen(
    deployment: Any, apis: list[httpx2.AsyncClient], clients: list[ChargePointClient], scale: Callable[[int, int], int]
) -> None:
    await commands_work(apis, clients)
    async with conversing(clients):
        deployment.redis.freeze()
        until = time.monotonic() + scale(5, 20)  # long enough to be given up
        try:
            while time.monotonic() < until:
                await commands_refused(apis, clients)
        finally:
            deployment.redis.thaw()
        await commands_work(apis, clients)


async def test_is_not_missed_when_it_was_emptied_or_hung_up(
    deployment: Any, apis: list[httpx2.AsyncClient], clients: list[ChargePointClient]
) -> None:
    await commands_work(apis, clients)
    async with conversing(clients):
        deployment.redis.flush()
        await commands_work(apis, clients)
        with deployment.redis.client() as redis:
            for kind in ("pubsub", "normal"):
                redis.execute_command("CLIENT", "KILL", "TYPE", kind)
        await commands_work(apis, clients)
