"""StatusNotification: the current state of connectors, and its history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargepoints.models import ConnectorStatus
from tests.charge_point import CallErrorReceived
from tests.ocpp16.asking import this_millisecond

STATUSES = (
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
)
FAULT = {
    "connectorId": 2,
    "status": "Faulted",
    "errorCode": "GroundFailure",
    "info": "Ground fault on connector 2",
    "vendorId": "com.vendor",
    "vendorErrorCode": "E42",
    "timestamp": "2026-03-10T15:57:00Z",
}


async def test_shows_every_status_of_ocpp(charge_point: Any, row: Any) -> None:
    for status in STATUSES:
        await charge_point.status(1, status)
        assert row.connectors.get(connector_id=1).status == status


async def test_keeps_the_history(charge_point: Any, row: Any) -> None:
    await charge_point.status(1, "Preparing")
    await charge_point.status(1, "Charging")
    history = ConnectorStatus.objects.filter(charge_point=row, connector_id=1).order_by("id")
    assert [entry.status for entry in history] == ["Available", "Preparing", "Charging"]


async def test_stores_every_member(charge_point: Any, row: Any) -> None:
    assert await charge_point.call("StatusNotification", FAULT) == {}
    for stored in (row.connectors.get(connector_id=2), ConnectorStatus.objects.get(connector_id=2)):
        assert (stored.status, stored.error_code) == ("Faulted", "GroundFailure")
        assert (stored.info, stored.vendor_id, stored.vendor_error_code) == (FAULT["info"], "com.vendor", "E42")
        assert stored.timestamp == datetime(2026, 3, 10, 15, 57, tzinfo=UTC)


async def test_shows_the_charge_point_itself_as_connector_0_only_while_it_is_not_available(
    api: Any, charge_point: Any, row: Any
) -> None:
    async def listed() -> list[int]:
        body = (await api.get("/api/v1/ocpp16/charge_points/status")).json()
        return [connector["connector_id"] for connector in body["charge_points"][0]["connectors"]]

    await charge_point.status(0, "Available")
    assert await listed() == [1]
    await charge_point.status(0, "Faulted", "InternalError")
    assert await listed() == [0, 1]


async def test_takes_the_last_word_whatever_time_it_bears(charge_point: Any, row: Any) -> None:
    await charge_point.call("StatusNotification", FAULT)
    await charge_point.call("StatusNotification", FAULT | {"status": "Available", "timestamp": "2025-01-01T00:00:00Z"})
    assert row.connectors.get(connector_id=2).status == "Available"


async def test_dates_a_status_without_a_time_by_its_arrival(charge_point: Any, row: Any) -> None:
    before = this_millisecond()
    await charge_point.status(3)
    assert before <= row.connectors.get(connector_id=3).timestamp <= datetime.now(UTC)


async def test_stores_an_error_code_of_the_vendors_own(charge_point: Any, row: Any, finding: Any) -> None:
    assert await charge_point.call("StatusNotification", FAULT | {"errorCode": "VendorDoorOpen"}) == {}
    assert row.connectors.get(connector_id=2).error_code == "VendorDoorOpen"
    assert "VendorDoorOpen" in (await finding("StatusNotification.errorCode")).detail


async def test_cuts_over_long_info(charge_point: Any, row: Any, finding: Any) -> None:
    assert await charge_point.call("StatusNotification", FAULT | {"info": "i" * 80}) == {}
    assert row.connectors.get(connector_id=2).info == "i" * 50
    assert await finding("StatusNotification.info")


async def test_takes_vendor_members_and_nulls(charge_point: Any, row: Any) -> None:
    payload = FAULT | {"info": None, "vendorId": None, "timestamp": None, "temperature": 55}
    assert await charge_point.call("StatusNotification", payload) == {}
    assert row.connectors.get(connector_id=2).info == ""


@pytest.mark.parametrize("timestamp", ["24:00:00", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00Z", ""])
async def test_replaces_an_impossible_time(charge_point: Any, row: Any, finding: Any, timestamp: str) -> None:
    before = this_millisecond()
    assert await charge_point.call("StatusNotification", FAULT | {"timestamp": timestamp}) == {}
    assert row.connectors.get(connector_id=2).timestamp >= before
    assert await finding("StatusNotification.timestamp")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "Exploded"}, "PropertyConstraintViolation"),
        ({"connectorId": -1}, "PropertyConstraintViolation"),
        ({"connectorId": 2**31}, "PropertyConstraintViolation"),
        ({"connectorId": "2"}, "TypeConstraintViolation"),
        ({"connectorId": True}, "TypeConstraintViolation"),
    ],
)
async def test_refuses_what_has_no_meaning(charge_point: Any, row: Any, change: Any, code: str) -> None:
    with pytest.raises(CallErrorReceived) as refused:
        await charge_point.call("StatusNotification", FAULT | change)
    assert refused.value.code == code
    assert [connector.connector_id for connector in row.connectors.all()] == [1]
