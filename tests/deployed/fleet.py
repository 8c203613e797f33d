"""Charge points on all workers of a deployment, that go on through a fault as OCPP says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2

from tests.charge_point import ChargePointClient
from tests.servers import ServerProcess

BATCH = 50
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}


@asynccontextmanager
async def fleet(deployment: Any, make_charge_point: Any, count: int) -> AsyncIterator[list[ChargePointClient]]:
    """Connected and booted charge points, in turn on one worker and the other."""
    clients = [client_of(deployment, make_charge_point(), number) for number in range(count)]
    for start in range(0, count, BATCH):
        await asyncio.gather(*(client.connect() for client in clients[start : start + BATCH]))
        await asyncio.gather(*(client.boot() for client in clients[start : start + BATCH]))
    yield clients
    await asyncio.gather(*(client.close() for client in clients))


def client_of(deployment: Any, row: Any, number: int) -> ChargePointClient:
    return client_at(deployment.workers[number % len(deployment.workers)], row)


def client_at(server: ServerProcess, row: Any) -> ChargePointClient:
    return ChargePointClient(f"ws://127.0.0.1:{server.port}/ocpp16/{row.identity}", row.identity)


async def connected(row: Any, server: ServerProcess) -> ChargePointClient:
    client = client_at(server, row)
    await client.connect()
    return client


async def reset(api: httpx2.AsyncClient, client: ChargePointClient) -> httpx2.Response:
    return await api.post("/api/v1/ocpp16/reset", json={"charge_point_id": client.identity, "type": "Soft"})


def assert_all_live(clients: list[ChargePointClient]) -> None:
    closed = {client.identity: client.socket.close_code for client in clients if client.reading.done()}
    assert not closed


async def timed(awaitable: Awaitable[Any]) -> tuple[Any, float]:
    """The result, or the exception, and the seconds that it took."""
    started = time.monotonic()
    result = (await asyncio.gather(awaitable, return_exceptions=True))[0]
    return result, time.monotonic() - started


async def repeat(call: Callable[[], Awaitable[Any]], patience: float) -> Any:
    """The answer to a CALL that is sent again until there is one."""
    while True:
        with suppress(TimeoutError):
            return await asyncio.wait_for(call(), patience)
