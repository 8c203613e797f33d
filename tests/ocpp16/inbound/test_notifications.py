"""Firmware, diagnostics, logs, certificates, security events and vendor messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargepoints.models import Notification, SecurityEvent
from tests.charge_point import CallErrorReceived

CASES = [
    ("FirmwareStatusNotification", {"status": "Downloading"}, "firmware_status"),
    ("SignedFirmwareStatusNotification", {"status": "InvalidSignature", "requestId": 7}, "firmware_status"),
    ("DiagnosticsStatusNotification", {"status": "Uploaded"}, "diagnostics_status"),
    ("LogStatusNotification", {"status": "UploadFailure", "requestId": 9}, "diagnostics_status"),
]


@pytest.mark.parametrize(("action", "payload", "field"), CASES)
async def test_stores_the_status(charge_point: Any, row: Any, action: str, payload: Any, field: str) -> None:
    assert await charge_point.call(action, payload) == {}
    stored = Notification.objects.get(charge_point=row)
    assert (stored.action, stored.status, stored.payload) == (action, payload["status"], payload)
    row.refresh_from_db()
    assert getattr(row, field) == payload["status"]


@pytest.mark.parametrize(("action", "payload", "field"), CASES)
async def test_refuses_a_status_that_ocpp_does_not_know(
    charge_point: Any, action: str, payload: Any, field: str
) -> None:
    with pytest.raises(CallErrorReceived) as refused:
        await charge_point.call(action, payload | {"status": "Exploded"})
    assert refused.value.code == "PropertyConstraintViolation"
    assert not Notification.objects.exists()


async def test_stores_a_vendor_message_and_says_that_it_knows_no_vendor(charge_point: Any) -> None:
    payload = {"vendorId": "com.vendor", "messageId": "Ping", "data": '{"a": [1, "ä"]}'}
    assert await charge_point.call("DataTransfer", payload) == {"status": "UnknownVendorId"}
    stored = Notification.objects.get()
    assert (stored.action, stored.payload) == ("DataTransfer", payload)


async def test_stores_a_security_event(charge_point: Any, row: Any) -> None:
    payload = {"type": "FirmwareUpdated", "timestamp": "2026-01-01T10:00:00+01:00", "techInfo": "4.14"}
    assert await charge_point.call("SecurityEventNotification", payload) == {}
    event = SecurityEvent.objects.get(charge_point=row)
    assert (event.type, event.technical_information) == ("FirmwareUpdated", "4.14")
    assert event.timestamp == datetime(2026, 1, 1, 9, tzinfo=UTC)


async def test_stores_a_certificate_request_that_it_cannot_sign(charge_point: Any) -> None:
    assert await charge_point.call("SignCertificate", {"csr": "-----BEGIN"}) == {"status": "Rejected"}
    assert Notification.objects.get().payload == {"csr": "-----BEGIN"}


async def test_stays_connected_after_an_action_that_it_does_not_know(charge_point: Any) -> None:
    with pytest.raises(CallErrorReceived) as refused:
        await charge_point.call("CustomOperation", {"a": 1})
    assert refused.value.code == "NotImplemented"
    assert "currentTime" in await charge_point.call("Heartbeat")
