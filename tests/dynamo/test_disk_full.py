"""The embedded server on a disk that is full: nothing is acknowledged that SQLite has not stored."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.charge_point import ChargePointClient
from tests.full_disk import START, Ledger, fill, small_disk
from tests.servers import ROOT, ServerProcess

pytestmark = pytest.mark.without_services

CONNECTORS = 10


@pytest.fixture
def disk() -> Iterator[Path]:
    with small_disk(16) as folder:
        yield folder


@pytest.fixture
def server(disk: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that keeps all that it keeps on that disk, with one charge point."""
    environment = {"DYNAMO_DATA_DIR": str(disk)}
    process = ServerProcess(str(disk / "dynamo.sqlite3"), tmp_path / "server.log", environment)
    for command in (["migrate"], ["create_organization", "A"], ["create_charge_point", "A", "CP", "--no-password"]):
        given = {**os.environ, "DYNAMO_NO_BOOTSTRAP": "1", "DJANGO_SETTINGS_MODULE": "dynamo.settings", **environment}
        command = [sys.executable, "manage.py", *command]
        subprocess.run(command, cwd=ROOT, env=given, check=True, stdout=subprocess.DEVNULL)
    process.start()
    yield process
    process.stop()


def stored(disk: Path, column: str, table: str) -> set[Any]:
    with closing(sqlite3.connect(disk / "dynamo.sqlite3")) as database:
        return {value for (value,) in database.execute(f"SELECT {column} FROM chargepoints_{table}")}


async def test_acknowledges_only_what_is_stored(server: ServerProcess, disk: Path) -> None:
    ledger = Ledger()
    client = ChargePointClient(f"ws://127.0.0.1:{server.port}/ocpp16/CP", "CP")
    await client.connect()
    await ledger.start(client, 1)
    ballast = fill(disk)
    await ledger.measure_until([client], lambda: ledger.refused >= 5)
    for connector_id in range(2, CONNECTORS + 1):
        await ledger.start(client, connector_id)
    assert len(ledger.starts) < CONNECTORS
    ballast.unlink()
    answer = await asyncio.wait_for(client.call("StartTransaction", {**START, "connectorId": CONNECTORS + 1}), 5)
    ledger.starts.add(answer["transactionId"])
    assert ledger.starts <= stored(disk, "id", "transaction")
    assert len(stored(disk, "id", "metervalue")) >= ledger.readings
    await client.close()
