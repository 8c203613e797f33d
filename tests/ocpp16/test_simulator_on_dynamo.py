"""Simulated charge points on our own server, commanded through its API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from chargepoints.models import ChargePoint as ChargePointRow
from chargepoints.models import ConformanceFinding, Transaction
from ocpp16.models import Message
from ocpp16.simulator import fleet
from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.makes import MAKES
from tests.conftest import Servers, eventually

PASSWORD = "0123456789abcdef"
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1, "numberPhases": 3}],
    },
}


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


COMMANDS: list[tuple[str, dict[str, Any], str]] = [
    ("CancelReservation", {"reservationId": 1}, "Rejected"),
    ("ChangeAvailability", {"connectorId": 1, "type": "Inoperative"}, "Accepted"),
    ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}, "Accepted"),
    ("ClearCache", {}, "Accepted"),
    ("ClearChargingProfile", {"id": 1}, "Unknown"),
    ("DataTransfer", {"vendorId": "Brightmoor", "messageId": "Echo", "data": "x"}, "Accepted"),
    ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}, "Accepted"),
    ("GetConfiguration", {}, "Accepted"),
    ("GetDiagnostics", {"location": "ftp://127.0.0.1/"}, "Accepted"),
    ("GetLocalListVersion", {}, "Accepted"),
    ("RemoteStartTransaction", {"idTag": "TAG", "connectorId": 1}, "Accepted"),
    ("RemoteStopTransaction", {"transactionId": 1}, "Rejected"),
    ("ReserveNow", {"connectorId": 1, "expiryDate": in_an_hour(), "idTag": "TAG", "reservationId": 1}, "Accepted"),
    ("Reset", {"type": "Soft"}, "Accepted"),
    ("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": []}, "Accepted"),
    ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE}, "Accepted"),
    ("TriggerMessage", {"requestedMessage": "Heartbeat"}, "Accepted"),
    ("UnlockConnector", {"connectorId": 1}, "Unlocked"),
    ("UpdateFirmware", {"location": "ftp://127.0.0.1/5.1.0.bin", "retrieveDate": "2026-01-01T00:00:00Z"}, "Accepted"),
]


@pytest.fixture
async def simulated(servers: Servers, make_charge_point: Any) -> AsyncIterator[ChargePoint]:
    """A simulated charge point of two connectors, online at our server."""
    row = make_charge_point(password=PASSWORD)
    charge_point = ChargePoint(
        servers.ws_url, row.identity, password=PASSWORD, make=MAKES[1], speed=20, longest_wait=0.3
    )
    task = asyncio.create_task(fleet.run(charge_point))
    await eventually(lambda: charge_point.is_online and len(charge_point.outbox) == 0)
    yield charge_point
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def remote_start(api: httpx2.AsyncClient, simulated: ChargePoint, id_tag: str = "TAG") -> Transaction:
    body = {"charge_point_id": simulated.identity, "id_tag": id_tag, "connector_id": 1}
    answer = await api.post("/api/v1/ocpp16/remote_start_transaction", json=body)
    assert answer.json()["status"] == "Accepted"
    return await eventually(Transaction.objects.filter(id_tag=id_tag, state="active").first)


@pytest.mark.parametrize(("command", "payload", "status"), COMMANDS, ids=[command for command, _, _ in COMMANDS])
async def test_answers_every_command(api, simulated, command, payload, status):
    body = {"charge_point_id": simulated.identity, "command": command, "payload": payload}
    answer = await api.post("/api/v1/ocpp16/send_command", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, status)


async def test_runs_a_session_through_the_api(api, simulated):
    simulated.configuration["MeterValueSampleInterval"] = "1"
    transaction = await remote_start(api, simulated)
    await eventually(lambda: Transaction.objects.get(pk=transaction.pk).energy_delivered_wh > 0)
    body = {"charge_point_id": simulated.identity, "transaction_id": transaction.pk}
    answer = await api.post("/api/v1/ocpp16/remote_stop_transaction", json=body)
    assert answer.json()["status"] == "Accepted"
    stopped = await eventually(Transaction.objects.filter(pk=transaction.pk, state="stopped").first)
    assert stopped.stop_reason == "Remote"
    assert stopped.energy_delivered_wh > 0
    await eventually(Message.objects.filter(action="StopTransaction", kind=Message.Kind.CALL_RESULT).exists)
    assert not ConformanceFinding.objects.exists()


async def test_a_session_that_ended_offline_is_stored_with_its_own_times(api, simulated):
    transaction = await remote_start(api, simulated)
    simulated.lose_connection(1.5)
    await eventually(lambda: not simulated.is_online)
    simulated.connectors[0].end("Local")
    ended = datetime.now(UTC)
    stopped = await eventually(Transaction.objects.filter(pk=transaction.pk, state="stopped").first)
    assert abs(stopped.stopped_at - ended) < timedelta(seconds=0.5)
    assert stopped.stop_received_at - ended > timedelta(seconds=1)


async def test_a_reset_brings_it_back(api, simulated):
    booted = ChargePointRow.objects.get().last_boot_at
    answer = await api.post("/api/v1/ocpp16/reset", json={"charge_point_id": simulated.identity, "type": "Hard"})
    assert answer.json()["status"] == "Accepted"
    await eventually(lambda: ChargePointRow.objects.online().filter(last_boot_at__gt=booted).exists())


async def test_a_reservation_holds_against_another_tag(api, simulated):
    body = {"charge_point_id": simulated.identity, "connector_id": 1, "reservation_id": 5}
    reserve = {**body, "id_tag": "MINE", "expiry_date": in_an_hour()}
    assert (await api.post("/api/v1/ocpp16/reserve_now", json=reserve)).json()["status"] == "Accepted"
    other = {"charge_point_id": simulated.identity, "id_tag": "OTHER", "connector_id": 1}
    refused = await api.post("/api/v1/ocpp16/remote_start_transaction", json=other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "ocpp_rejected")
    await remote_start(api, simulated, "MINE")
