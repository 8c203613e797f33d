"""BootNotification, and what the registration state allows."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from chargepoints.models import ChargePoint, MeterValue, Notification, SecurityEvent, Transaction
from tests.charge_point import CallErrorReceived
from tests.conftest import eventually
from tests.ocpp16.asking import this_millisecond

HARDWARE = {
    "chargePointVendor": "Alfen BV",
    "chargePointModel": "NG910",
    "chargePointSerialNumber": "ACE0123456",
    "chargeBoxSerialNumber": "BOX-1",
    "firmwareVersion": "4.14.1-3398",
    "iccid": "8931040012345678901",
    "imsi": "204080123456789",
    "meterType": "Eichrecht",
    "meterSerialNumber": "M-77",
}
NOT_ACCEPTED = ("Pending", "Rejected")


async def test_accepts_a_provisioned_charge_point(connect: Any) -> None:
    before = this_millisecond()
    answer = await (await connect()).boot()
    assert set(answer) == {"currentTime", "interval", "status"}
    assert answer["status"] == "Accepted"
    assert answer["interval"] == 300
    assert answer["currentTime"].endswith("Z")
    assert abs((datetime.fromisoformat(answer["currentTime"]) - before).total_seconds()) < 5


async def test_stores_the_hardware(charge_point: Any, row: Any) -> None:
    await charge_point.call("BootNotification", HARDWARE)
    row.refresh_from_db()
    assert [row.vendor, row.model, row.serial_number, row.charge_box_serial_number] == [
        "Alfen BV",
        "NG910",
        "ACE0123456",
        "BOX-1",
    ]
    assert [row.firmware_version, row.iccid, row.imsi] == ["4.14.1-3398", "8931040012345678901", "204080123456789"]
    assert [row.meter_type, row.meter_serial_number] == ["Eichrecht", "M-77"]
    assert row.last_boot_at is not None


async def test_forgets_hardware_that_a_later_boot_no_longer_names(charge_point: Any, row: Any) -> None:
    await charge_point.call("BootNotification", HARDWARE)
    await charge_point.boot()
    row.refresh_from_db()
    assert (row.vendor, row.serial_number) == ("Vendor", "")


async def test_cuts_an_over_long_serial_number(charge_point: Any, row: Any, finding: Any) -> None:
    answer = await charge_point.call("BootNotification", {**HARDWARE, "chargePointSerialNumber": "S" * 34})
    assert answer["status"] == "Accepted"
    row.refresh_from_db()
    assert row.serial_number == "S" * 25
    assert "34" in (await finding("BootNotification.chargePointSerialNumber")).detail


async def test_takes_empty_vendor_iccid_and_imsi(charge_point: Any, row: Any) -> None:
    answer = await charge_point.call(
        "BootNotification", {"chargePointVendor": "", "chargePointModel": "M", "iccid": "", "imsi": ""}
    )
    assert answer["status"] == "Accepted"
    row.refresh_from_db()
    assert (row.vendor, row.iccid, row.imsi) == ("", "", "")


async def test_takes_members_that_are_null(charge_point: Any) -> None:
    answer = await charge_point.call("BootNotification", {**HARDWARE, "iccid": None, "imsi": None})
    assert answer["status"] == "Accepted"


async def test_tells_the_interval_of_the_organization(connect: Any, organization: Any) -> None:
    organization.heartbeat_interval = 77
    organization.save()
    assert (await (await connect()).boot())["interval"] == 77


async def test_tells_the_interval_of_the_charge_point_before_that_of_the_organization(
    connect: Any, make_charge_point: Any
) -> None:
    charge_point = await connect(make_charge_point(heartbeat_interval_override=15))
    assert (await charge_point.boot())["interval"] == 15


@pytest.mark.parametrize("status", NOT_ACCEPTED)
async def test_tells_the_registration_status(connect: Any, make_charge_point: Any, status: str) -> None:
    charge_point = await connect(make_charge_point(registration_status=status))
    answer = await charge_point.boot()
    assert answer["status"] == status
    assert answer["currentTime"]


@pytest.mark.parametrize("status", NOT_ACCEPTED)
@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Heartbeat", {}),
        ("Authorize", {"idTag": "TAG"}),
        ("StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"}),
        (
            "StartTransaction",
            {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-01-01T10:00:00Z"},
        ),
        ("StopTransaction", {"transactionId": 1, "meterStop": 0, "timestamp": "2026-01-01T10:00:00Z"}),
        (
            "MeterValues",
            {
                "connectorId": 1,
                "meterValue": [{"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [{"value": "1"}]}],
            },
        ),
        ("DataTransfer", {"vendorId": "V"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
        ("SecurityEventNotification", {"type": "X", "timestamp": "2026-01-01T10:00:00Z"}),
    ],
)
async def test_refuses_and_writes_nothing_before_it_is_accepted(
    connect: Any, make_charge_point: Any, status: str, action: str, payload: Any
) -> None:
    row = make_charge_point(registration_status=status)
    charge_point = await connect(row)
    with pytest.raises(CallErrorReceived) as refused:
        await charge_point.call(action, payload)
    assert refused.value.code == "SecurityError"
    for model in (Transaction, MeterValue, Notification, SecurityEvent):
        assert not model.objects.exists()
    assert not row.connectors.exists()
    assert not row.orphan_stops.exists()


async def test_counts_a_refused_message_as_a_sign_of_life(connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(registration_status="Pending")
    charge_point = await connect(row)
    ChargePoint.objects.filter(pk=row.pk).update(last_seen_at=None)
    with pytest.raises(CallErrorReceived):
        await charge_point.call("Heartbeat")
    await eventually(lambda: ChargePoint.objects.get(pk=row.pk).last_seen_at)


async def test_accepts_without_a_new_socket_once_staff_accept(connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(registration_status="Pending")
    charge_point = await connect(row)
    with pytest.raises(CallErrorReceived):
        await charge_point.call("Heartbeat", message_id="same")
    ChargePoint.objects.filter(pk=row.pk).update(registration_status="Accepted")
    assert "currentTime" in await charge_point.call("Heartbeat", message_id="same")


async def test_takes_a_message_it_asked_for_while_pending(api: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(registration_status="Pending")
    charge_point = await connect(row)
    await charge_point.boot()
    body = {"charge_point_id": row.identity, "requested_message": "StatusNotification", "connector_id": 1}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/trigger_message", json=body))
    call = await charge_point.expect("TriggerMessage")
    await call.reply(status="Accepted")
    # At once, as charge points do: nothing says that the answer has been stored by now.
    await charge_point.status(1, "Preparing")
    assert (await request).status_code == 200
    assert row.connectors.get().status == "Preparing"
    with pytest.raises(CallErrorReceived):
        await charge_point.status(1, "Available")


async def test_takes_a_certificate_request_it_asked_for_while_pending(
    api: Any, connect: Any, make_charge_point: Any
) -> None:
    row = make_charge_point(registration_status="Pending")
    charge_point = await connect(row)
    payload = {"requestedMessage": "SignChargePointCertificate"}
    body = {"charge_point_id": row.identity, "command": "ExtendedTriggerMessage", "payload": payload}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/send_command", json=body))
    await (await charge_point.expect("ExtendedTriggerMessage")).reply(status="Accepted")
    assert await charge_point.call("SignCertificate", {"csr": "-----BEGIN"}) == {"status": "Rejected"}
    assert (await request).status_code == 200
    assert Notification.objects.get().action == "SignCertificate"


async def test_takes_nothing_it_asked_for_in_vain_while_pending(api: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(registration_status="Pending")
    charge_point = await connect(row)
    body = {"charge_point_id": row.identity, "requested_message": "Heartbeat"}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/trigger_message", json=body))
    await (await charge_point.expect("TriggerMessage")).reply(status="Rejected")
    assert (await request).status_code == 422
    with pytest.raises(CallErrorReceived) as refused:
        await charge_point.call("Heartbeat")
    assert refused.value.code == "SecurityError"


@pytest.mark.parametrize("name", ["remote_start_transaction", "remote_stop_transaction"])
async def test_sends_no_remote_start_or_stop_while_pending(
    api: Any, connect: Any, make_charge_point: Any, name: str
) -> None:
    row = make_charge_point(registration_status="Pending")
    charge_point = await connect(row)
    wanted = {"id_tag": "TAG"} if "start" in name else {"transaction_id": 1}
    response = await api.post(f"/api/v1/ocpp16/{name}", json={"charge_point_id": row.identity, **wanted})
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "charge_point_offline"
    assert "Pending" in response.json()["error"]["message"]
    await charge_point.boot()
    assert charge_point.calls.empty()
