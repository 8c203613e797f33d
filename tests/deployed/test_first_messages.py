"""New charge points that all say their first words at the same moment, on both servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from chargepoints.models import Connector, ConnectorStatus, Transaction
from tests.charge_point import ChargePointClient
from tests.metrics import Read

from .conftest import Deployment
from .fleet import START, client_at

CHARGE_POINTS = 6
CONNECTORS = (0, 1, 2)
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}
CLOSED = ConnectionError | websockets.ConnectionClosed
READING = {"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [{"value": "100"}]}


def clients_of(deployment: Deployment, row: Any) -> list[ChargePointClient]:
    """A client for each server."""
    return [client_at(worker, row) for worker in deployment.workers]


async def speak(client: ChargePointClient, barrier: asyncio.Barrier, *, connects: bool) -> list[Any]:
    """Everything at once, as charge points do that do not wait for answers."""
    await barrier.wait()
    if connects:
        await client.connect()
    said: list[tuple[str, Any]] = [("BootNotification", BOOT)]
    for number in CONNECTORS:
        status = {"connectorId": number, "status": "Available", "errorCode": "NoError"}
        said.append(("StatusNotification", status))
    said += [("StartTransaction", START), ("MeterValues", {"connectorId": 2, "meterValue": [READING]})]
    return await asyncio.gather(*(client.call(*message) for message in said), return_exceptions=True)


@pytest.mark.timeout(600)
async def test_answers_them_all_and_knows_every_connector(
    deployment: Deployment, make_charge_point: Any, moved: Read, scale: Callable[[int, int], int]
) -> None:
    for _ in range(scale(4, 20)):
        rows = [make_charge_point() for _ in range(CHARGE_POINTS)]
        pairs = [clients_of(deployment, row) for row in rows]
        barrier = asyncio.Barrier(2 * CHARGE_POINTS)
        speaking = []
        for older, newer in pairs:
            await older.connect()
            # What came on the older socket is still being handled while the newer one takes over and speaks.
            speaking += [speak(older, barrier, connects=False), speak(newer, barrier, connects=True)]
        spoken = await asyncio.gather(*speaking)
        for answers in spoken[::2]:
            assert not [answer for answer in answers if not isinstance(answer, dict | CLOSED)]
        for answers in spoken[1::2]:
            assert not [answer for answer in answers if not isinstance(answer, dict)]
        for row, pair in zip(rows, pairs, strict=True):
            assert known(row) == set(CONNECTORS)
            assert Transaction.objects.filter(charge_point=row).count() == 1
            for client in pair:
                await client.close()
    assert moved("dynamo_calls_total") == moved("dynamo_calls_total", outcome="CALLRESULT") > 0
    assert moved("dynamo_database_failures_total") == 0


def known(row: Any) -> set[int]:
    connectors = Connector.objects.filter(charge_point=row, status="Available")
    numbers = list(connectors.values_list("connector_id", flat=True))
    assert len(numbers) == len(set(numbers))
    assert ConnectorStatus.objects.filter(charge_point=row).count() >= len(numbers)
    return set(numbers)
