"""A disk that is full under the database: nothing is acknowledged that is not stored, and space is enough to go on."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from chargepoints.models import MeterValue, Transaction
from tests.full_disk import START, Ledger, small_disk

from .fleet import assert_all_live, fleet, repeat

pytestmark = pytest.mark.timeout(300)

RETURN_SECONDS = 5
CONNECTORS = 10


@pytest.fixture(scope="module")
def disk(deployment: Any) -> Iterator[Path]:
    """A small disk of its own under the database's tables."""
    with small_disk(64) as folder:
        tables = folder / "tables"
        tables.mkdir()
        shutil.chown(tables, "postgres", "postgres")
        move_database(deployment.postgresql, str(tables))
        yield folder
        move_database(deployment.postgresql, "")


def move_database(server: Any, folder: str) -> None:
    """Move the database to that disk, or back."""
    name = connection.settings_dict["NAME"]
    connection.close()
    with psycopg.connect(server.url(), autocommit=True) as admin:
        if folder:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        admin.execute(f'ALTER DATABASE "{name}" SET TABLESPACE {"small" if folder else "pg_default"}')
        admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        if not folder:
            admin.execute("DROP TABLESPACE small")


async def test_acknowledges_only_what_is_stored(
    deployment: Any, servers: Any, disk: Path, make_charge_point: Any, scale: Callable[[int, int], int]
) -> None:
    ledger = Ledger()
    async with fleet(deployment, make_charge_point, 10) as clients:
        await asyncio.gather(*(ledger.start(client, 1) for client in clients))
        ballast = await ledger.fill(clients, disk, scale(20, 1000))
        for connector_id in range(2, CONNECTORS + 1):
            await asyncio.gather(*(ledger.start(client, connector_id) for client in clients))
        assert len(ledger.starts) < len(clients) * CONNECTORS  # the last found no room
        ballast.unlink()
        freed = time.monotonic()
        start = {**START, "connectorId": CONNECTORS + 1}
        ledger.starts.add((await repeat(lambda: clients[0].call("StartTransaction", start), 0.5))["transactionId"])
        assert time.monotonic() - freed < RETURN_SECONDS
        assert_all_live(clients)
    connection.close()
    assert ledger.starts <= set(Transaction.objects.values_list("pk", flat=True))
    assert MeterValue.objects.count() >= ledger.readings
