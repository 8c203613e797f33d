"""Inbound: one function per action, each taking what was received and returning the CALLRESULT's payload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models.functions import Now

from chargepoints.models import ChargePoint, ConnectorStatus, Notification, SecurityEvent
from chargepoints.models.charge_point import RegistrationStatus

from . import times
from .frames import Call
from .journal import FRAME_LENGTH
from .masking import hidden
from .payloads import InvalidPayload, read_call
from .received import Received
from .transactions import authorize, meter_values, start_transaction, stop_transaction

# Answered only once committed, and not at all while they cannot be: the charge point then repeats them.
BILLING = frozenset({"StartTransaction", "StopTransaction"})


def handle(charge_point_id: int, call: Call, triggered: set[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a CALL and have its effects committed; returns the payload of its CALLRESULT and the findings.

    `triggered` holds the actions that we asked for, which are welcome in every registration state. Raises
    InvalidPayload for what OCPP refuses.
    """
    payload, findings = read_call(call.action, call.payload)
    # The time of every message comes with it, by the clock that all processes share.
    found = ChargePoint.objects.select_related("organization").annotate(asked_at=Now())
    charge_point: Any = found.get(pk=charge_point_id)
    check_registration(charge_point, call.action, triggered)
    received = Received(charge_point, call.action, payload, findings, charge_point.asked_at)
    return HANDLERS[call.action](received), findings


def check_registration(charge_point: ChargePoint, action: str, triggered: set[str]) -> None:
    """Raise SecurityError for what a charge point may not send before it is accepted (OCPP 1.6 section 4.2)."""
    if charge_point.registration_status == RegistrationStatus.ACCEPTED or action == "BootNotification":
        return
    if action not in triggered:
        status = charge_point.registration_status
        raise InvalidPayload("SecurityError", f"The registration of this charge point is {status}.")
    triggered.discard(action)


def boot_notification(received: Received) -> dict[str, Any]:
    charge_point = received.charge_point
    charge_point.boot({name: received.text(member) for member, name in HARDWARE.items()})
    return {
        "currentTime": times.write(received.received_at),
        "interval": charge_point.heartbeat_interval,
        "status": charge_point.registration_status,
    }


def heartbeat(received: Received) -> dict[str, Any]:
    return {"currentTime": times.write(received.received_at)}


def status_notification(received: Received) -> dict[str, Any]:
    connector_id = received.integer("connectorId")
    status = ConnectorStatus(
        status=received.payload["status"],
        error_code=received.text("errorCode", 50),
        info=received.text("info"),
        vendor_id=received.text("vendorId"),
        vendor_error_code=received.text("vendorErrorCode"),
        timestamp=received.time(),
        received_at=received.received_at,
    )
    received.charge_point.report_status(connector_id, status)
    return {}


def data_transfer(received: Received) -> dict[str, Any]:
    note(received)
    return {"status": "UnknownVendorId"}


def firmware_status(received: Received) -> dict[str, Any]:
    note(received)
    ChargePoint.objects.filter(pk=received.charge_point.pk).update(firmware_status=received.text("status", 50))
    return {}


def diagnostics_status(received: Received) -> dict[str, Any]:
    note(received)
    ChargePoint.objects.filter(pk=received.charge_point.pk).update(diagnostics_status=received.text("status", 50))
    return {}


def sign_certificate(received: Received) -> dict[str, Any]:
    """Store the request; no certificate authority stands behind this server that could sign it."""
    note(received)
    return {"status": "Rejected"}


def security_event(received: Received) -> dict[str, Any]:
    SecurityEvent.objects.create(
        charge_point=received.charge_point,
        type=received.text("type", 50),
        technical_information=received.text("techInfo"),
        timestamp=received.time(),
        received_at=received.received_at,
    )
    return {}


def note(received: Received) -> None:
    """Keep what was reported; of a vendor's data, as much as the message log would."""
    payload = received.payload
    if len(payload.get("data") or "") > FRAME_LENGTH:
        payload = {**payload, "data": payload["data"][:FRAME_LENGTH]}
    Notification.objects.create(
        charge_point=received.charge_point,
        action=received.action,
        status=received.text("status", 50),
        payload=hidden(payload),
        received_at=received.received_at,
    )


HARDWARE = {
    "chargePointVendor": "vendor",
    "chargePointModel": "model",
    "chargePointSerialNumber": "serial_number",
    "chargeBoxSerialNumber": "charge_box_serial_number",
    "firmwareVersion": "firmware_version",
    "iccid": "iccid",
    "imsi": "imsi",
    "meterType": "meter_type",
    "meterSerialNumber": "meter_serial_number",
}

HANDLERS: dict[str, Callable[[Received], dict[str, Any]]] = {
    "Authorize": authorize,
    "BootNotification": boot_notification,
    "DataTransfer": data_transfer,
    "DiagnosticsStatusNotification": diagnostics_status,
    "FirmwareStatusNotification": firmware_status,
    "Heartbeat": heartbeat,
    "LogStatusNotification": diagnostics_status,
    "MeterValues": meter_values,
    "SecurityEventNotification": security_event,
    "SignCertificate": sign_certificate,
    "SignedFirmwareStatusNotification": firmware_status,
    "StartTransaction": start_transaction,
    "StatusNotification": status_notification,
    "StopTransaction": stop_transaction,
}
