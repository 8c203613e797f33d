"""PostgreSQL that crashes, is gone or full of connections: sockets stay, and only what is stored is acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import httpx2
import psycopg
import pytest
from django.db import connection

from chargepoints.models import ChargePoint, Transaction
from ocpp16.models import Message
from tests.charge_point import CallErrorReceived, ChargePointClient
from tests.conftest import eventually
from tests.metrics import Read

from .fleet import START, assert_all_live, fleet, repeat, timed
from .services import frozen, gone

pytestmark = pytest.mark.timeout(300)

ANSWER_SECONDS = 5
RETURN_SECONDS = 2
PAUSE_SECONDS = 2  # of each charge point; without one they would say more than the journal holds
RETRY_SECONDS = 10  # sooner, 400 of them would repeat faster than a busy machine answers
# Heartbeats store nothing, and are answered for a while.
OTHERS = [
    ("DataTransfer", {"vendorId": "V"}),
    ("Authorize", {"idTag": "TAG"}),
    ("StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"}),
    ("MeterValues", {"connectorId": 1, "meterValue": []}),
]


@pytest.fixture
def count(scale: Callable[[int, int], int]) -> int:
    return scale(50, 400)


async def refused_meanwhile(clients: list[ChargePointClient]) -> None:
    """Whatever is no billing message gets InternalError soon, however many send at once."""
    calls = [client.call(*OTHERS[number % len(OTHERS)]) for number, client in enumerate(clients)]
    for result, seconds in await asyncio.gather(*map(timed, calls)):
        assert isinstance(result, CallErrorReceived)
        assert result.code == "InternalError"
        assert seconds < ANSWER_SECONDS


async def silent_meanwhile(client: ChargePointClient, transaction_id: int) -> None:
    """Starts and stops get no answer at all, and do not hold up what comes behind them."""
    starting = asyncio.create_task(client.call("StartTransaction", {**START, "connectorId": 2}))
    stopping = asyncio.create_task(client.stop(transaction_id))
    with pytest.raises(CallErrorReceived):
        await client.call("DataTransfer", {"vendorId": "V"})
    assert not starting.done()
    assert not stopping.done()
    for call in (starting, stopping):
        call.cancel()


async def api_meanwhile(api: httpx2.AsyncClient) -> None:
    """The API says so in its envelope, the admin on a page."""
    response, seconds = await timed(api.get("/api/v1/ocpp16/charge_points/status"))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "service_unavailable")
    assert seconds < ANSWER_SECONDS
    page = await api.get("/admin/", headers={"Cookie": f"sessionid={'x' * 32}"})
    assert (page.status_code, page.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    assert "OperationalError" not in page.text
    assert (await api.get("/livez")).status_code == 200


async def everything_back(clients: list[ChargePointClient]) -> None:
    """Both workers store again at once, and no charge point whose socket lives shows offline."""
    connection.close()
    starts = [start_of(client, 0.2) for client in clients[:2]]
    for result, seconds in await asyncio.gather(*map(timed, starts)):
        assert result["transactionId"] in Transaction.objects.values_list("pk", flat=True)
        assert seconds < RETURN_SECONDS
    await eventually(lambda: not ChargePoint.objects.offline().exists(), ANSWER_SECONDS)
    await asyncio.gather(*(start_of(client, 5) for client in clients))
    assert Transaction.objects.active().filter(connector_id=1).count() == len(clients)
    assert_all_live(clients)


async def start_of(client: ChargePointClient, patience: float) -> Any:
    """The answer to a start, repeated with as much patience until it comes."""
    return await repeat(lambda: client.call("StartTransaction", START), patience)


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return cursor.fetchone() is not None


async def test_has_every_socket_and_message_after_a_crash(
    deployment: Any, moved: Read, make_charge_point: Any, count: int
) -> None:
    async with fleet(deployment, make_charge_point, count) as clients:
        said = next(clients[0].numbers)
        with closing(psycopg.connect(deployment.environment["DATABASE_URL"])) as holder:
            held = "SELECT 1 FROM chargepoints_chargepoint WHERE identity = %s FOR UPDATE"
            holder.execute(held, [clients[0].identity])  # so that the crash meets a start
            answers = asyncio.gather(*(start_of(client, RETRY_SECONDS) for client in clients))
            await eventually(waits_for_a_lock)
            await asyncio.to_thread(deployment.postgresql.restart)
        ids = {answer["transactionId"] for answer in await answers}
        connection.close()
        assert next(clients[0].numbers) > said + 2  # it was interrupted, and repeated
        assert set(Transaction.objects.values_list("pk", flat=True)) == ids
        await everything_back(clients)
        assert moved("dynamo_calls_total", outcome="silence") >= 1


async def test_acknowledges_nothing_while_it_is_gone(
    deployment: Any,
    moved: Read,
    api: httpx2.AsyncClient,
    make_charge_point: Any,
    count: int,
    scale: Callable[[int, int], int],
) -> None:
    async with fleet(deployment, make_charge_point, count) as clients:
        transaction_id = await clients[0].start(connector_id=2)
        ChargePoint.objects.update(online_until="2026-01-01T00:00:00Z")  # a long absence outlasts every lease
        until = time.monotonic() + scale(4, 60)
        async with gone(deployment.postgresql):
            await refused_meanwhile(clients)
            await silent_meanwhile(clients[0], transaction_id)
            await api_meanwhile(api)
            while time.monotonic() < until:
                await refused_meanwhile(clients)
                await asyncio.sleep(PAUSE_SECONDS)
        await everything_back(clients)
        stored = Message.objects.filter(charge_point__identity=clients[0].identity, action="StartTransaction")
        await eventually(lambda: stored.filter(direction="in").count() >= 3)  # the journal kept what came meanwhile
        assert moved("dynamo_calls_total", outcome="silence") >= 2
        assert moved("dynamo_database_failures_total") > 0
        assert moved("dynamo_calls_total", outcome="InternalError") > 0


async def test_acknowledges_nothing_while_it_is_frozen(
    deployment: Any,
    servers: Any,
    api: httpx2.AsyncClient,
    make_charge_point: Any,
    count: int,
    scale: Callable[[int, int], int],
) -> None:
    async with fleet(deployment, make_charge_point, count) as clients:
        transaction_id = await clients[0].start(connector_id=2)
        connection.close()
        until = time.monotonic() + scale(10, 60)
        async with frozen(deployment.postgresql):
            await asyncio.gather(api_meanwhile(api), refused_meanwhile(clients))
            await silent_meanwhile(clients[0], transaction_id)
            while time.monotonic() < until:
                await asyncio.gather(api_meanwhile(api), refused_meanwhile(clients))
                await asyncio.sleep(PAUSE_SECONDS)
        await everything_back(clients)


async def test_acknowledges_nothing_without_a_connection(
    deployment: Any, moved: Read, api: httpx2.AsyncClient, make_charge_point: Any, count: int
) -> None:
    async with fleet(deployment, make_charge_point, count) as clients:
        transaction_id = await clients[0].start(connector_id=2)
        with ExitStack() as taken:
            await asyncio.to_thread(take_all_connections, deployment.postgresql.url(), taken)
            await refused_meanwhile(clients)
            await silent_meanwhile(clients[0], transaction_id)
            await api_meanwhile(api)
        await everything_back(clients)
        assert moved("dynamo_database_connections_failed_total") > 0


def take_all_connections(url: str, taken: ExitStack) -> None:
    """Take every connection that the server has, those of the workers included."""
    first = taken.enter_context(psycopg.connect(url, autocommit=True))
    while True:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'"
        first.execute(others)
        try:
            while True:
                taken.enter_context(psycopg.connect(url))
        except psycopg.OperationalError:
            if first.execute("SELECT 1 FROM pg_stat_activity WHERE datname LIKE 'test%'").fetchone() is None:
                return
