"""A disk that is full under the database: nothing is acknowledged that is not stored, and space is enough to go on."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from django.db import connection

from chargepoints.models import MeterValue, Transaction
from tests.charge_point import CallErrorReceived, ChargePointClient

from .fleet import assert_all_live, fleet, repeat

RETURN_SECONDS = 5
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
SAMPLES = [{"value": "1" * 200, "measurand": f"Temperature-{number}"} for number in range(100)]


@pytest.fixture(scope="module")
def disk(deployment: Any) -> Iterator[Path]:
    """A small disk of its own under the database's tables."""
    with TemporaryDirectory(prefix="dynamo-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0777", "tmpfs", folder]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
            pytest.skip("needs the right to mount a small disk")
        try:
            Path(folder).parent.chmod(Path(folder).parent.stat().st_mode | 0o001)
            tables = Path(folder) / "tables"
            tables.mkdir()
            shutil.chown(tables, "postgres", "postgres")
            move_database(deployment.postgresql, str(tables))
            yield Path(folder)
            move_database(deployment.postgresql, "")
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


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


def fill(disk: Path) -> Path:
    """Take all the space that is left."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


class Ledger:
    """What the server acknowledged, as the charge points remember it."""

    def __init__(self) -> None:
        self.starts: set[int] = set()
        self.numbers = itertools.count()
        self.readings = self.refused = 0

    async def measure(self, client: ChargePointClient) -> None:
        """Report many samples, each time others."""
        reading = {"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [{"value": str(next(self.numbers))}, *SAMPLES]}
        try:
            await client.call("MeterValues", {"connectorId": 1, "meterValue": [reading]})
        except CallErrorReceived:
            self.refused += 1
        else:
            self.readings += 1

    async def start(self, client: ChargePointClient, number: int) -> None:
        """Start on a connector of that number; silence is no acknowledgement."""
        with suppress(TimeoutError):
            call = client.call("StartTransaction", {**START, "connectorId": number})
            self.starts.add((await asyncio.wait_for(call, 0.5))["transactionId"])


async def test_acknowledges_only_what_is_stored(
    deployment: Any, servers: Any, disk: Path, make_charge_point: Any, scale: Callable[[int, int], int]
) -> None:
    ledger = Ledger()
    async with fleet(deployment, make_charge_point, 10) as clients:
        await asyncio.gather(*(ledger.start(client, 1) for client in clients))
        ballast = fill(disk)
        until = time.monotonic() + scale(20, 60)
        while ledger.refused < scale(20, 1000):
            assert time.monotonic() < until, "the disk does not fill"
            await asyncio.gather(*(ledger.measure(client) for client in clients))
        for connector_id in range(2, 12):
            await asyncio.gather(*(ledger.start(client, connector_id) for client in clients))
        assert len(ledger.starts) < 10 * 11  # the last found no room
        ballast.unlink()
        freed = time.monotonic()
        answer = await repeat(lambda: clients[0].call("StartTransaction", {**START, "connectorId": 20}), 0.5)
        assert time.monotonic() - freed < RETURN_SECONDS
        assert answer["transactionId"]
        assert_all_live(clients)
    connection.close()
    assert ledger.starts <= set(Transaction.objects.values_list("pk", flat=True))
    assert MeterValue.objects.count() >= ledger.readings
