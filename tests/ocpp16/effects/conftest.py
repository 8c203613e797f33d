"""Commands of the API, answered by a connected charge point."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargepoints.models import ChargePoint

PATH = "/api/v1/ocpp16"


@pytest.fixture
def row(charge_point: Any) -> ChargePoint:
    return ChargePoint.objects.get(identity=charge_point.identity)


@pytest.fixture
def command(api: Any, charge_point: Any) -> Any:
    """Sends a command of the API and has it answered."""

    async def send(name: str, answer: Any, **body: Any) -> Any:
        post = api.post(f"{PATH}/{name}", json={"charge_point_id": charge_point.identity, **body})
        request = asyncio.create_task(post)
        call = await asyncio.wait_for(charge_point.calls.get(), 10)
        await call.reply({"status": answer} if isinstance(answer, str) else answer)
        return await request

    return send
