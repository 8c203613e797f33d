"""Servers that are told to end: what they took is finished, who is left is told, and charge points find the next."""

from __future__ import annotations

import asyncio
import errno
import itertools
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import psycopg
import pytest
from django.db import connection

from chargepoints.models import ChargePoint, Transaction
from ocpp16.models import Command
from tests.conftest import eventually
from tests.metrics import Read
from tests.servers import ServerProcess

from .conftest import Deployment
from .fleet import START, connected
from .ledger import Fleet
from .proxy import Proxy

EXIT_SECONDS = 15
RESET = "/api/v1/ocpp16/reset"


@pytest.fixture
async def ending(deployment: Deployment, servers: Any) -> AsyncIterator[ServerProcess]:
    """A server of this test, which ends it."""
    server = await asyncio.to_thread(deployment.worker)
    yield server
    deployment.workers.remove(server)
    server.process.kill()


@contextmanager
def held(deployment: Deployment, row: ChargePoint) -> Iterator[None]:
    """Have a handler that starts a transaction wait in the database, until this is left."""
    url = deployment.environment["DATABASE_URL"]
    with psycopg.connect(url) as holder:
        holder.execute("SELECT 1 FROM chargepoints_chargepoint WHERE id = %s FOR UPDATE", [row.pk])
        yield


def waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])


def refuses(server: ServerProcess) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) == errno.ECONNREFUSED


async def exit_code(server: ServerProcess) -> int:
    return await asyncio.to_thread(server.process.wait, EXIT_SECONDS)


async def test_answers_what_is_in_flight_before_it_says_goodbye(
    deployment: Deployment, ending: ServerProcess, make_charge_point: Any
) -> None:
    row = make_charge_point()
    client = await connected(row, ending)
    with held(deployment, row):
        call = asyncio.create_task(client.call("StartTransaction", START))
        await eventually(waits_for_a_lock)
        ending.process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(ending))
    assert (await call)["transactionId"] == Transaction.objects.get().pk
    assert (await client.closed())[0] == 1001
    assert await exit_code(ending) == 0
    assert not ChargePoint.objects.online().exists()


async def test_ends_in_time_though_a_handler_does_not(
    deployment: Deployment, ending: ServerProcess, make_charge_point: Any
) -> None:
    row, other = make_charge_point(), make_charge_point()
    client, idle = await connected(row, ending), await connected(other, ending)
    with held(deployment, row):
        await client.send([2, "1", "StartTransaction", START])
        await eventually(waits_for_a_lock)
        told_at = time.monotonic()
        ending.process.send_signal(signal.SIGTERM)
        assert (await idle.closed())[0] == 1001
        await exit_code(ending)
        assert time.monotonic() - told_at < EXIT_SECONDS
        assert (await client.closed())[0] == 1001
    assert client.others.empty()
    await eventually(lambda: not waits_for_a_lock())
    assert not Transaction.objects.exists()


def post(client: httpx2.AsyncClient, row: ChargePoint) -> asyncio.Task[Any]:
    return asyncio.create_task(client.post(RESET, json={"charge_point_id": row.identity, "type": "Soft"}))


async def test_ends_the_commands_of_its_sockets(ending: ServerProcess, api: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    client = await connected(row, ending)
    requests = [post(api, row) for _ in range(3)]
    await client.expect("Reset")
    await eventually(lambda: Command.objects.count() == 3)
    ending.process.send_signal(signal.SIGTERM)
    for answer in await asyncio.gather(*requests):
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "charge_point_offline")
    assert await exit_code(ending) == 0
    assert {command.state for command in Command.objects.all()} == {"lost"}


async def test_answers_the_callers_that_it_has_taken_and_refuses_others(
    deployment: Deployment, ending: ServerProcess, api: Any, make_charge_point: Any
) -> None:
    row = make_charge_point()
    client = await connected(row, deployment.workers[0])
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{ending.port}", headers=api.headers) as caller:
        request = post(caller, row)
        call = await client.expect("Reset")
        await caller.get("/livez")  # on a second connection, which stays open
        ending.process.send_signal(signal.SIGTERM)
        await eventually(lambda: refuses(ending))
        refused = await caller.get("/api/v1/ocpp16/charge_points/status")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "service_unavailable")
        await call.reply(status="Accepted")
        assert (await request).status_code == 200
    assert await exit_code(ending) == 0
    assert Command.objects.get().state == "accepted"
    await client.close()


@pytest.mark.timeout(1800)
async def test_loses_nothing_in_rolling_restarts_behind_a_proxy(
    deployment: Deployment, api: Any, make_charge_point: Any, moved: Read, scale: Callable[[int, int], int]
) -> None:
    rows = [make_charge_point() for _ in range(scale(6, 50))]
    server_pair = deployment.workers[:2]
    async with Proxy([server.port for server in server_pair]) as proxy:
        url = f"ws://127.0.0.1:{proxy.port}/ocpp16"
        async with Fleet(rows, lambda: [url]) as fleet:
            enough = asyncio.Event()
            commands = asyncio.create_task(command_all(fleet, f"http://127.0.0.1:{proxy.port}", api.headers, enough))
            for server in server_pair * scale(1, 10):
                before = fleet.sessions
                await eventually(lambda before=before: fleet.sessions >= before + len(rows), 60)
                assert await asyncio.to_thread(server.stop) == 0
                await asyncio.to_thread(server.start)
            enough.set()
            await commands
    for member in fleet:
        member.assert_stored()
    await eventually(lambda: not Command.objects.unfinished().exists(), 30)
    states = set(Command.objects.values_list("state", flat=True))
    assert "accepted" in states
    assert states <= {"accepted", "lost", "timed_out", "rate_limited"}
    assert moved("process_start_time_seconds") > 0
    assert moved("dynamo_charge_points_connected") == 0


async def command_all(fleet: Fleet, url: str, headers: Any, enough: asyncio.Event) -> None:
    """Send commands to one member after the other; what becomes of them the command log tells."""
    members = itertools.cycle(fleet)
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=30) as client:
        while not enough.is_set():
            await asyncio.gather(post(client, next(members).row), return_exceptions=True)
