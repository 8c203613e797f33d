"""A dump of PostgreSQL, made while charge points talk, becomes a central system again."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

from chargepoints.models import Transaction
from tests.charge_point import ChargePointClient
from tests.manual import command
from tests.servers import ServerProcess, running

KEY = "key-of-16-bytes."


def run(line: str, url: str, folder: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": url}
    subprocess.run(["sh", "-c", line], cwd=folder, env=environment, check=True, capture_output=True)


async def test_restores_what_was_there(
    deployment: Any, api: Any, connect: Any, make_charge_point: Any, tmp_path: Path
) -> None:
    row = make_charge_point("CP-1", password=KEY)
    charge_point = await connect(row, KEY)
    number = await charge_point.start(meter_start=100)
    await charge_point.measure("150", "2026-01-01T10:05:00Z", transactionId=number)
    await asyncio.to_thread(run, command("pg_dump"), deployment.environment["DATABASE_URL"], tmp_path)
    await charge_point.measure("900", "2026-01-01T10:10:00Z", transactionId=number)
    before = (await api.get("/api/v1/ocpp16/active_transactions/CP-1")).json()["active_transactions"][0]
    assert before["current_meter_value"] == 900

    deployment.postgresql.create_database("restored")
    url = deployment.postgresql.url("restored")
    await asyncio.to_thread(run, command("pg_restore"), url, tmp_path)
    restored = ServerProcess("restored", tmp_path / "restored.log", {**deployment.environment, "DATABASE_URL": url})
    with running(restored):
        await assert_goes_on(restored, api, before, number)
    assert Transaction.objects.get().stopped_at is None


async def assert_goes_on(restored: ServerProcess, api: Any, before: dict[str, Any], number: int) -> None:
    """The session is there as it was when it was saved, and can be ended."""
    path = f"http://127.0.0.1:{restored.port}/api/v1/ocpp16/active_transactions/CP-1"
    after = (await api.get(path)).json()["active_transactions"][0]
    assert {**after, "duration_seconds": 0} == {
        **before,
        "current_meter_value": 150,
        "energy_delivered_wh": 50,
        "duration_seconds": 0,
    }
    client = ChargePointClient(f"ws://127.0.0.1:{restored.port}/ocpp16/CP-1", "CP-1", KEY)
    await client.connect()
    await client.stop(number, 1000)
    assert (await api.get(path)).json()["total"] == 0
    await client.close()
