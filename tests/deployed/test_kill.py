"""Servers that are killed while charge points hold sessions."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from chargepoints.models import ChargePoint
from chargepoints.models.lease import LEASE
from tests.conftest import eventually
from tests.metrics import read_at

from .conftest import Deployment
from .fleet import connected
from .ledger import Fleet

OFFLINE_SECONDS = 90


def urls(deployment: Deployment) -> list[str]:
    return [f"ws://127.0.0.1:{worker.port}/ocpp16" for worker in deployment.workers]


@pytest.mark.timeout(3 * 3600)
async def test_loses_nothing_that_was_acknowledged_and_stores_nothing_twice(
    deployment: Deployment, servers: Any, make_charge_point: Any, scale: Callable[[int, int], int]
) -> None:
    rows = [make_charge_point() for _ in range(scale(10, 50))]
    async with Fleet(rows, lambda: urls(deployment)) as fleet:
        for _ in range(scale(3, 200)):
            before = fleet.sessions
            await eventually(lambda before=before: fleet.sessions >= before + len(rows), 60)
            worker = random.choice(deployment.workers)
            worker.stop(signal.SIGKILL)
            await asyncio.to_thread(worker.start)
    for member in fleet:
        member.assert_stored()


@pytest.mark.timeout(300)
async def test_shows_no_charge_point_of_a_dead_server_online(
    deployment: Deployment, api: Any, make_charge_point: Any, scale: Callable[[int, int], int]
) -> None:
    dying, living = deployment.worker(), deployment.workers[0]
    lost, kept = make_charge_point(), make_charge_point()
    clients = [await connected(lost, dying), await connected(kept, living)]
    dying.stop(signal.SIGKILL)
    killed_at = time.monotonic()
    if scale(1, 0):
        # What is left of the lease passes at once: nobody is there who could renew it.
        assert ChargePoint.objects.get(pk=lost.pk).online_until - database_time() <= LEASE
        ChargePoint.objects.filter(pk=lost.pk).update(online_until=F("online_until") - LEASE)
    await eventually(lambda: not ChargePoint.objects.online().filter(pk=lost.pk).exists(), OFFLINE_SECONDS)
    assert time.monotonic() - killed_at < OFFLINE_SECONDS
    assert await shown_online(api) == {lost.identity: False, kept.identity: True}
    read = read_at(living.port)
    assert (read("dynamo_leases_expired"), read("dynamo_charge_points_online")) == (1, 1)
    for client in clients:
        await client.close()


def database_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT now()")
        return cursor.fetchone()[0]


async def shown_online(api: Any) -> dict[str, bool]:
    answer = await api.get("/api/v1/ocpp16/charge_points/status")
    return {row["charge_point_id"]: row["online"] for row in answer.json()["charge_points"]}
