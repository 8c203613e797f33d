"""Inbound: one function per action, each taking what was received and returning the CALLRESULT's payload."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from apikeys import clock
from chargepoints.models import ChargePoint, ConnectorStatus, Notification, SecurityEvent, happened
from chargepoints.models.charge_point import RegistrationStatus
from chargepoints.models.connector import Reported
from chargepoints.models.conversing import NotAccepted

from . import times
from .batch import Batch
from .frames import Call
from .journal import FRAME_LENGTH
from .masking import hidden
from .meter_values import known_transactions, meter_values
from .payloads import InvalidPayload, read_call
from .received import Presumed, Received
from .transactions import authorize, start_transaction, stop_transaction

# Answered only once committed, and not at all while they cannot be: the charge point then repeats them.
BILLING = frozenset({"StartTransaction", "StopTransaction"})
# What changes the charge point's row, or must not meet another such for the same charge point.
HOLDING = frozenset({"BootNotification", "StartTransaction"})
# Of who sends these no more need be known than that they are accepted, which is found out as they are stored.
PRESUMING = frozenset({"MeterValues", "StatusNotification"})

# The payload of a CALLRESULT and the findings {kind: detail}, or what prevented it.
Outcome = tuple[dict[str, Any], dict[str, str]] | BaseException


@dataclass(eq=False)
class Asked:
    """A CALL that waits to be handled; `triggered` holds the actions that we asked its charge point for."""

    charge_point_id: int
    call: Call
    triggered: set[str]
    context: Context = field(default_factory=copy_context)  # log lines belong to the message
    outcome: Outcome | None = None


def handle(asked: list[Asked], *, patiently: bool = True) -> None:
    """Have the effects of CALLs committed, all or none; sets the outcome of each.

    Left out, without an outcome, is what another socket of the same charge point asks, and without patience those whose
    charge point somebody else holds. Raises what the database, or a fault of ours, raised: then nothing was stored, and
    no outcome counts.
    """
    first = first_of_each(asked)
    try:
        if patiently or not store_presuming(first):
            with transaction.atomic():
                store(first, patiently)
    except Exception:
        known_transactions.forget()
        raise


def store(asked: list[Asked], patiently: bool) -> None:
    batch, held = Batch(), hold(asked, patiently)
    known = ChargePoint.objects.conversing({each.charge_point_id for each in asked}, patiently=patiently)
    take([each for each in asked if each.call.action not in HOLDING or each.charge_point_id in held], known, batch)
    batch.store()


def store_presuming(asked: list[Asked]) -> bool:
    """Store CALLs that may be, a round trip or three sooner; False, and nothing is stored, where some may not."""
    at = clock.known_now()
    if connection.vendor != "postgresql" or at is None or not PRESUMING.issuperset(each.call.action for each in asked):
        return False
    batch = Batch()
    take(asked, {each.charge_point_id: Presumed(each.charge_point_id, at) for each in asked}, batch)
    try:
        with transaction.atomic() if batch.stores_several else nullcontext():
            batch.store()
    except NotAccepted:
        known_transactions.forget()
        return False
    return True


def take(asked: list[Asked], known: dict[int, Any], batch: Batch) -> None:
    """Set the outcome of each CALL, and have in the batch what is to be stored for it."""
    readable = [(each, received) for each in asked if (received := read(each, known, batch)) is not None]
    for each, received in readable:
        answer(each, received)


def first_of_each(asked: list[Asked]) -> list[Asked]:
    """The first CALL of each charge point: the next depends on what this one changes, but is read with it."""
    first: dict[int, Asked] = {}
    for each in asked:
        first.setdefault(each.charge_point_id, each)
    return [*first.values()]


def hold(asked: list[Asked], patiently: bool) -> set[int]:
    """Hold the charge points whose CALLs ask for it; returns those that are held."""
    holding = {each.charge_point_id for each in asked if each.call.action in HOLDING}
    return ChargePoint.objects.hold(holding, patiently=patiently)


def read(asked: Asked, known: dict[int, Any], batch: Batch) -> Received | None:
    """Add a CALL to the batch; None where its outcome is set already: it cannot be handled."""
    call, charge_point = asked.call, known.get(asked.charge_point_id)
    try:
        payload, findings = read_call(call.action, call.payload)
        if charge_point is None:
            raise ChargePoint.DoesNotExist
        check_registration(charge_point, call.action, asked.triggered)
    except (InvalidPayload, ChargePoint.DoesNotExist) as refusal:
        asked.outcome = refusal
        return None
    # The time of every message comes with the charge point, by the clock that all processes share.
    received = Received(charge_point, call.action, payload, findings, charge_point.asked_at, batch)
    batch.all.append(received)
    return received


def answer(asked: Asked, received: Received) -> None:
    """Call the handler, which refuses with InvalidPayload before it has stored anything."""
    try:
        payload = asked.context.run(HANDLERS[received.action], received)
    except InvalidPayload as invalid:
        asked.outcome = invalid
    else:
        asked.outcome = payload, received.findings


def check_registration(charge_point: ChargePoint, action: str, triggered: set[str]) -> None:
    """Raise SecurityError for what a charge point may not send before it is accepted (OCPP 1.6 section 4.2)."""
    if charge_point.registration_status == RegistrationStatus.ACCEPTED or action == "BootNotification":
        return
    if action not in triggered:
        status = charge_point.registration_status
        raise InvalidPayload("SecurityError", f"The registration of this charge point is {status}.")


def boot_notification(received: Received) -> dict[str, Any]:
    charge_point = received.charge_point
    received.batch.store_later(store_boots, received)
    return {
        "currentTime": times.write(received.received_at),
        "interval": charge_point.heartbeat_interval,
        "status": charge_point.registration_status,
    }


def store_boots(batch: list[Received]) -> None:
    ChargePoint.objects.boot(
        [
            (each.charge_point.pk, each.received_at, {name: each.text(member) for member, name in HARDWARE.items()})
            for each in batch
        ]
    )


def heartbeat(received: Received) -> dict[str, Any]:
    return time_told(received.received_at)


def time_told(moment: datetime) -> dict[str, Any]:
    """What a Heartbeat is answered with."""
    return {"currentTime": times.write(moment)}


def status_notification(received: Received) -> dict[str, Any]:
    received.integer("connectorId")
    received.batch.store_later(store_statuses, received)
    return {}


def store_statuses(batch: list[Received]) -> None:
    told = [reported_status(received) for received in batch]
    ConnectorStatus.objects.report(told, presuming=batch[0].is_presuming)


def reported_status(received: Received) -> Reported:
    return Reported(
        charge_point_id=received.charge_point.pk,
        connector_id=received.integer("connectorId"),
        status=received.payload["status"],
        error_code=received.text("errorCode", 50),
        info=received.text("info"),
        vendor_id=received.text("vendorId"),
        vendor_error_code=received.text("vendorErrorCode"),
        timestamp=received.timestamp,
        received_at=received.received_at,
    )


def data_transfer(received: Received) -> dict[str, Any]:
    note(received)
    return {"status": "UnknownVendorId"}


def firmware_status(received: Received) -> dict[str, Any]:
    note(received)
    report_step(received, "firmware_status", happened.firmware_reported)
    return {}


def diagnostics_status(received: Received) -> dict[str, Any]:
    note(received)
    report_step(received, "diagnostics_status", happened.diagnostics_reported)
    return {}


def report_step(received: Received, name: str, events: Callable[..., list[happened.Happened]]) -> None:
    """Keep the newest status of what a charge point is busy with, and note the events that this makes."""
    pk, status = received.charge_point.pk, received.text("status", 50)
    before = ChargePoint.objects.report_step(pk, name, status)
    for event in events(pk, status, before, received.payload.get("requestId")):
        received.batch.note(event)


def sign_certificate(received: Received) -> dict[str, Any]:
    """Store the request; no certificate authority stands behind this server that could sign it."""
    note(received)
    return {"status": "Rejected"}


def security_event(received: Received) -> dict[str, Any]:
    SecurityEvent.objects.report(
        received.batch.note,
        charge_point=received.charge_point,
        type=received.text("type", 50),
        technical_information=received.text("techInfo"),
        timestamp=received.timestamp,
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
