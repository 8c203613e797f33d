"""Commands that wait for their charge points, many at once."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from ocpp16.models import Command

COUNT = 40


def threads(server: Any) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
async def test_hold_no_thread_each(api: Any, connect: Any, make_charge_point: Any, servers: Any) -> None:
    charge_points = [await connect(make_charge_point(f"CP-{number}")) for number in range(COUNT)]
    before = threads(servers.http)
    bodies = [{"charge_point_id": f"CP-{number}", "type": "Soft"} for number in range(COUNT)]
    asking = [asyncio.create_task(api.post("/api/v1/ocpp16/reset", json=body)) for body in bodies]
    calls = [await charge_point.expect("Reset") for charge_point in charge_points]
    assert threads(servers.http) < before + COUNT / 2
    for call in calls:
        await call.reply(status="Accepted")
    assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
    assert set(Command.objects.values_list("state", flat=True)) == {"accepted"}
