"""A disk that is full under the database: nothing is acknowledged that is not stored, and space is enough to go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from chargepoints.models import MeterValue, Transaction
from tests.full_disk import START, Ledger, fill, small_disk
from tests.metrics import Read

from .conftest import migrated
from .fleet import assert_all_live, fleet, repeat
from .services import START_SECONDS, PostgreSQLServer, supervised

pytestmark = pytest.mark.timeout(300)

RETURN_SECONDS = 5
CONNECTORS = 10


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    with small_disk(200) as folder:
        yield folder


@pytest.fixture(scope="module")
def postgresql_cluster(disk: Path) -> Iterator[PostgreSQLServer]:
    """All of a PostgreSQL on a small disk of its own, with the log that it writes ahead and keeps for a standby."""
    server = PostgreSQLServer(disk, options=("-c wal_keep_size=1GB",))
    server.create("--wal-segsize=1")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def template(postgresql_cluster: PostgreSQLServer, django_db_setup: None, django_db_blocker: Any) -> str:
    with django_db_blocker.unblock():
        return migrated(postgresql_cluster)


def crash(server: PostgreSQLServer) -> None:
    """Write ahead until PostgreSQL finds no room for it, and ends; tables refuse long before, and write little then."""
    with suppress(psycopg.OperationalError), psycopg.connect(server.url()) as connection:
        while True:
            connection.execute("SELECT pg_logical_emit_message(false, '', repeat('x', 100000))")
    deadline = time.monotonic() + START_SECONDS
    while server.is_up():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def test_acknowledges_only_what_is_stored(
    deployment: Any, moved: Read, disk: Path, make_charge_point: Any, scale: Callable[[int, int], int]
) -> None:
    ledger, postgresql = Ledger(), deployment.postgresql
    async with fleet(deployment, make_charge_point, 10) as clients:
        ledger.starts.update(await asyncio.gather(*(client.start() for client in clients)))
        await ledger.measure_until(clients, lambda: ledger.readings >= len(clients))
        ballast = fill(disk)
        await ledger.measure_until(clients, lambda: ledger.refused >= scale(20, 1000))
        await asyncio.to_thread(crash, postgresql)
        await ledger.measure_until(clients, lambda: ledger.refused >= scale(40, 2000))
        async with supervised(postgresql):
            for connector_id in range(2, CONNECTORS + 1):
                await asyncio.gather(*(ledger.start(client, connector_id) for client in clients))
            assert len(ledger.starts) == len(clients)  # nobody else found room
            ballast.unlink()
            freed = time.monotonic()
            start = {**START, "connectorId": CONNECTORS + 1}
            ledger.starts.add((await repeat(lambda: clients[0].call("StartTransaction", start), 0.5))["transactionId"])
            assert time.monotonic() - freed < RETURN_SECONDS
        assert_all_live(clients)
    connection.close()
    assert ledger.starts <= set(Transaction.objects.values_list("pk", flat=True))
    assert MeterValue.objects.count() >= ledger.readings
    assert moved("dynamo_calls_total", outcome="silence") > 0
    assert moved("dynamo_database_failures_total") > 0
    assert moved("dynamo_calls_total", outcome="InternalError") > 0
