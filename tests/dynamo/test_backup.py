"""A copy of the SQLite file, made while the server works, becomes a central system again."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.charge_point import ChargePointClient
from tests.manual import command
from tests.servers import ServerProcess

COPY = "dynamo-backup.sqlite3"


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server on the copy, to be started when that is there."""
    process = ServerProcess(str(tmp_path / COPY), tmp_path / "restored.log")
    yield process
    process.stop()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's backup; unset DATABASE_URL")
async def test_restores_what_was_there(servers: Any, api: Any, connect: Any, restored: Any, tmp_path: Path) -> None:
    charge_point = await connect()
    number = await charge_point.start(meter_start=100)
    line = command("python3 -c").replace("var/dynamo.sqlite3", str(connection.settings_dict["NAME"]))
    await asyncio.to_thread(subprocess.run, ["sh", "-c", line], cwd=tmp_path, check=True)
    await charge_point.stop(number)
    restored.start()
    path = f"http://127.0.0.1:{restored.port}/api/v1/ocpp16/active_transactions/{charge_point.identity}"
    (transaction,) = (await api.get(path)).json()["active_transactions"]
    assert transaction["transaction_id"] == number
    client = ChargePointClient(f"ws://127.0.0.1:{restored.port}/ocpp16/{charge_point.identity}", charge_point.identity)
    await client.connect()
    await client.stop(number)
    assert (await api.get(path)).json()["total"] == 0
    await client.close()
