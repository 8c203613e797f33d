"""Lists of charge points while both workers store what many say."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import httpx2
import pytest

from tests.charge_point import ChargePointClient
from tests.chargepoints.lists import assert_true, sum_up
from tests.metrics import Read

from .conftest import Deployment
from .fleet import fleet

CHARGE_POINTS = 12
REPORTS = 40
STATUSES = ("Available", "Charging", "Faulted")


async def report(client: ChargePointClient, chance: random.Random) -> None:
    for _ in range(REPORTS):
        await client.status(chance.randint(0, 2), chance.choice(STATUSES))


async def ask(api: httpx2.AsyncClient, status: str) -> int:
    """How many are in the status, which every one shown must be in."""
    body = (await api.get("/api/v1/ocpp16/charge_points/status", params={"status": status})).json()
    assert body["total"] == len(body["charge_points"])
    for row in body["charge_points"]:
        assert status in {connector["status"] for connector in row["connectors"]}
    return body["total"]


@pytest.mark.timeout(300)
async def test_are_true_at_every_moment_and_in_the_end(
    deployment: Deployment, make_charge_point: Any, api: httpx2.AsyncClient, moved: Read
) -> None:
    seen = set()
    async with fleet(deployment, make_charge_point, CHARGE_POINTS) as clients:
        reporting = asyncio.gather(*(report(client, random.Random(number)) for number, client in enumerate(clients)))
        while not reporting.done():
            seen.add(tuple([await ask(api, status) for status in STATUSES]))
        await reporting
    assert len(seen) > 1
    assert_true()
    sum_up()
    assert_true()
    assert moved("dynamo_database_failures_total") == 0
