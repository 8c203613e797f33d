"""What charge points tell becomes events: each once, with its data, in the transaction of what it tells of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chargepoints.models import Event, OutboxEvent, Transaction
from tests.charge_point import CallErrorReceived
from tests.events import data_of, published, types_of

START, STOP = "2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z"
SESSION = {"connector_id": 1, "id_tag": "TAG", "start_time": START, "meter_start": 100}


async def test_tells_of_a_boot_with_the_hardware(charge_point: Any, row: Any) -> None:
    (booted,) = await data_of(row, "charge_point.booted")
    assert (booted["charge_point_id"], booted["vendor"], booted["model"]) == (row.identity, "Vendor", "Model")
    assert booted["firmware_version"] == ""


async def test_tells_of_a_status_only_where_it_is_another(charge_point: Any, row: Any) -> None:
    for status in ("Available", "Preparing", "Preparing", "Charging"):
        await charge_point.status(status=status)
    changes = await data_of(row, "charge_point.status_changed")
    assert [(change["previous_status"], change["status"]) for change in changes] == [
        (None, "Available"),
        ("Available", "Preparing"),
        ("Preparing", "Charging"),
    ]
    assert {change["connector_id"] for change in changes} == {1}
    assert {change["error_code"] for change in changes} == {"NoError"}


async def test_tells_connectors_apart(charge_point: Any, row: Any) -> None:
    for connector_id in (0, 1, 2):
        await charge_point.status(connector_id, "Available")
    changes = await data_of(row, "charge_point.status_changed")
    assert [change["connector_id"] for change in changes] == [1, 0, 2]


async def test_tells_of_a_fault_once_for_as_long_as_it_lasts(charge_point: Any, row: Any) -> None:
    await charge_point.status(status="Faulted", error_code="GroundFailure")
    await charge_point.status(status="Faulted", error_code="GroundFailure")
    await charge_point.status(status="Unavailable", error_code="GroundFailure")
    await charge_point.status(status="Faulted", error_code="OverVoltage")
    await charge_point.status(status="Available")
    await charge_point.status(status="Faulted", error_code="OverVoltage")
    faults = await data_of(row, "charge_point.fault")
    assert [fault["error_code"] for fault in faults] == ["GroundFailure", "OverVoltage", "OverVoltage"]
    assert len(await data_of(row, "charge_point.status_changed")) == 6


async def test_tells_of_what_a_vendor_adds_to_a_fault(charge_point: Any, row: Any) -> None:
    report = {"connectorId": 1, "status": "Available", "errorCode": "OtherError", "timestamp": START}
    more = {"info": "Fan", "vendorId": "com.example", "vendorErrorCode": "E17"}
    await charge_point.call("StatusNotification", report | more)
    (fault,) = await data_of(row, "charge_point.fault")
    assert fault == {
        "charge_point_id": row.identity,
        "is_simulated": False,
        "connector_id": 1,
        "status": "Available",
        "error_code": "OtherError",
        "info": "Fan",
        "vendor_id": "com.example",
        "vendor_error_code": "E17",
        "timestamp": START,
    }


async def test_tells_of_an_accepted_id_tag_only(charge_point: Any, row: Any) -> None:
    await charge_point.call("Authorize", {"idTag": "FREE"})
    row.organization.accept_unknown_id_tags = False
    row.organization.save()
    await charge_point.call("Authorize", {"idTag": "STRANGER"})
    (authorized,) = await data_of(row, "session.authorized")
    assert authorized == {
        "charge_point_id": row.identity,
        "is_simulated": False,
        "id_tag": "FREE",
        "expiry_date": None,
        "parent_id_tag": None,
    }


async def test_tells_of_a_session_from_its_start_to_its_end(charge_point: Any, row: Any) -> None:
    number = await charge_point.start()
    await charge_point.measure("150", "2026-01-01T10:30:00Z", transactionId=number)
    await charge_point.stop(number, 200, reason="EVDisconnected")
    kinds = ["session.started", "session.updated", "session.ended"]
    told = await published(row, *kinds)
    assert [event["event"] for event in told] == kinds
    started, updated, ended = (event["data"] for event in told)
    same = {"charge_point_id": row.identity, "is_simulated": False, "transaction_id": number, **SESSION}
    assert started == same | {"authorization_status": "Accepted", "reservation_id": None, "command_id": None}
    reading = {"current_meter_value": 150, "energy_delivered_wh": 50, "timestamp": "2026-01-01T10:30:00Z"}
    assert updated == same | reading
    assert ended == same | {
        "stop_time": STOP,
        "meter_stop": 200,
        "energy_delivered_wh": 100,
        "duration_seconds": 3600,
        "reason": "EVDisconnected",
        "inferred": False,
    }


async def test_tells_of_a_repeated_start_and_stop_once(charge_point: Any, row: Any) -> None:
    number = await charge_point.start()
    assert await charge_point.start() == number
    for _ in range(2):
        await charge_point.stop(number)
    assert len(await data_of(row, "session.started")) == 1
    assert len(await data_of(row, "session.ended")) == 1


async def test_tells_of_a_session_that_a_start_without_its_stop_ends(charge_point: Any, row: Any) -> None:
    forgotten = await charge_point.start()
    await charge_point.measure("170", "2026-01-01T10:30:00Z", transactionId=forgotten)
    await charge_point.start(at="2026-01-01T12:00:00Z", meter_start=300)
    await charge_point.stop(forgotten, 180)
    inferred, told = await data_of(row, "session.ended")
    assert (inferred["transaction_id"], inferred["inferred"], inferred["meter_stop"]) == (forgotten, True, 170)
    assert inferred["stop_time"] == "2026-01-01T10:30:00Z"
    assert (told["transaction_id"], told["inferred"], told["meter_stop"]) == (forgotten, False, 180)
    assert [event["event"] for event in await published(row)][-4:] == [
        "session.updated",
        "session.ended",
        "session.started",
        "session.ended",
    ]


async def test_tells_of_a_session_that_a_stop_of_another_id_ends(charge_point: Any, row: Any) -> None:
    number = await charge_point.start()
    await charge_point.stop(77)
    (ended,) = await data_of(row, "session.ended")
    assert ended["transaction_id"] == number


async def test_tells_of_readings_once_a_minute(charge_point: Any, row: Any) -> None:
    number = await charge_point.start()
    for minute in range(3):
        await charge_point.measure(f"{110 + minute}", f"2026-01-01T10:0{minute}:00Z", transactionId=number)
    assert [update["current_meter_value"] for update in await data_of(row, "session.updated")] == [110]
    Transaction.objects.update(told_at=timezone.now() - timedelta(seconds=59))
    await charge_point.measure("120", "2026-01-01T10:05:00Z")  # which names no transaction
    assert [update["current_meter_value"] for update in await data_of(row, "session.updated")] == [110, 120]


async def test_tells_of_no_reading_that_is_not_of_energy_or_after_the_end(charge_point: Any, row: Any) -> None:
    number = await charge_point.start()
    power = {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"}
    values = [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [power]}]
    await charge_point.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": values})
    await charge_point.stop(number)
    await charge_point.measure("200", STOP, transactionId=number)
    assert not await data_of(row, "session.updated")


FIRMWARE = [
    (["Downloading", "Downloaded", "Installing", "Installed"], ["update_started", "update_completed"], True),
    (["Downloading", "DownloadFailed", "Idle"], ["update_started", "update_completed"], False),
    (["Installed", "Installed"], ["update_completed"], True),
    (["Idle"], [], None),
]


@pytest.mark.parametrize(("statuses", "kinds", "successful"), FIRMWARE)
async def test_tells_when_a_firmware_update_begins_and_ends(
    charge_point: Any, row: Any, statuses: list[str], kinds: list[str], successful: bool | None
) -> None:
    for status in statuses:
        await charge_point.call("FirmwareStatusNotification", {"status": status})
    told = [event for event in await published(row) if event["event"].startswith("firmware")]
    assert [event["event"] for event in told] == [f"firmware.{kind}" for kind in kinds]
    assert not told or told[-1]["data"]["successful"] is successful


async def test_tells_that_diagnostics_and_logs_are_uploaded(charge_point: Any, row: Any) -> None:
    for status in ("Uploading", "Uploaded", "Uploaded", "Idle"):
        await charge_point.call("DiagnosticsStatusNotification", {"status": status})
    for status in ("Uploading", "Uploaded"):
        await charge_point.call("LogStatusNotification", {"status": status, "requestId": 9})
    uploads = await data_of(row, "diagnostics.uploaded")
    assert [(upload["status"], upload["request_id"]) for upload in uploads] == [("Uploaded", None), ("Uploaded", 9)]


async def test_tells_of_security_events_reported_and_seen(charge_point: Any, row: Any, connect: Any) -> None:
    report = {"type": "FirmwareUpdated", "timestamp": START, "techInfo": "v2"}
    await charge_point.call("SecurityEventNotification", report)
    await (await connect()).stop(await charge_point.start())
    (reported,) = await data_of(row, "security.event")
    assert (reported["type"], reported["technical_information"], reported["timestamp"]) == (
        "FirmwareUpdated",
        "v2",
        START,
    )
    seen = Event.objects.get(type="security.event", data__type="ForeignTransaction")
    assert seen.charge_point_id != row.pk


async def test_tells_of_nothing_that_is_not_stored(charge_point: Any, row: Any) -> None:
    before = await types_of(row)
    with pytest.raises(CallErrorReceived):
        await charge_point.call("StatusNotification", {"connectorId": -1, "status": "Faulted", "errorCode": "NoError"})
    await charge_point.call("Heartbeat")
    assert await types_of(row) == before
    assert not OutboxEvent.objects.exists()
