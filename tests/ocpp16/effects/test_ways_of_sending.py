"""The effects are kept whichever way a command was sent, and however late it is answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargepoints.models import ChargingProfile, Reservation
from ocpp16 import outcomes
from ocpp16.frames import CallResult
from ocpp16.models import Command
from tests.conftest import eventually

PATH = "/api/v1/ocpp16"
EXPIRY = "2999-03-10T17:00:00Z"
PROFILE = {
    "chargingProfileId": 101,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7400}],
    },
}


RAW = [
    ("ReserveNow", {"connectorId": 1, "expiryDate": EXPIRY, "idTag": "TAG", "reservationId": 7}, Reservation),
    ("SetChargingProfile", {"connectorId": 1, "csChargingProfiles": PROFILE}, ChargingProfile),
]


@pytest.mark.parametrize(("action", "payload", "model"), RAW)
async def test_keeps_effects_of_raw_commands(command: Any, action: str, payload: Any, model: Any) -> None:
    response = await command("send_command", "Accepted", command=action, payload=payload)
    assert response.status_code == 200
    assert model.objects.count() == 1


async def test_changes_availability_by_a_raw_command(command: Any, row: Any) -> None:
    payload = {"connectorId": 1, "type": "Inoperative"}
    await command("send_command", "Accepted", command="ChangeAvailability", payload=payload)
    assert row.connectors.get(connector_id=1).availability == "Inoperative"


async def test_links_a_raw_remote_start(command: Any, charge_point: Any) -> None:
    await command("send_command", "Accepted", command="RemoteStartTransaction", payload={"idTag": "APP"})
    number = await charge_point.start("APP")
    assert Command.objects.get().transaction_id == number


@pytest.mark.parametrize(("action", "payload", "model"), RAW)
async def test_keeps_effects_of_late_answers(
    api: Any, charge_point: Any, action: str, payload: Any, model: Any
) -> None:
    body = {"charge_point_id": charge_point.identity, "command": action, "payload": payload}
    request = asyncio.create_task(api.post(f"{PATH}/send_command", json=body))
    call = await charge_point.expect(action)
    assert (await request).status_code == 408
    await call.reply(status="Accepted")
    await eventually(lambda: model.objects.count() == 1)
    stored = Command.objects.get()
    assert (stored.state, stored.is_late, stored.response) == ("accepted", True, {"status": "Accepted"})


UNKEEPABLE = [
    ("ReserveNow", {"connectorId": 1, "expiryDate": "soon", "idTag": "TAG", "reservationId": 1}),
    ("ReserveNow", {"connectorId": 1, "expiryDate": EXPIRY, "idTag": "TAG", "reservationId": 2**70}),
    ("ChangeAvailability", {"connectorId": 2**70, "type": "Operative"}),
    ("SetChargingProfile", {"connectorId": 2**70, "csChargingProfiles": PROFILE}),
    ("CancelReservation", {}),
]


@pytest.mark.parametrize(("action", "payload"), UNKEEPABLE)
def test_keeps_the_answer_though_the_effect_cannot_be_kept(make_charge_point: Any, action: str, payload: Any) -> None:
    command = Command.objects.create(charge_point=make_charge_point(), action=action, payload=payload, state="sent")
    outcomes.complete(command.charge_point_id, command.pk, CallResult(str(command.pk), {"status": "Accepted"}), 5)
    command.refresh_from_db()
    assert (command.state, command.response) == ("accepted", {"status": "Accepted"})


async def test_reads_an_expiry_in_lower_case(command: Any) -> None:
    payload = {"connectorId": 1, "expiryDate": "2999-02-01t00:00:00z", "idTag": "TAG", "reservationId": 7}
    await command("send_command", "Accepted", command="ReserveNow", payload=payload)
    assert Reservation.objects.get().expires_at.isoformat() == "2999-02-01T00:00:00+00:00"
