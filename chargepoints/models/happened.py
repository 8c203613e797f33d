"""The events as rows and messages tell them; chargepoints/events.py describes their data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .event import EventType, Happened

if TYPE_CHECKING:
    from .authorization import Authorization
    from .notification import SecurityEvent
    from .transaction import Transaction

UPDATING = frozenset(
    {
        *("DownloadScheduled", "Downloading", "DownloadPaused", "Downloaded", "SignatureVerified"),
        *("InstallScheduled", "Installing", "InstallRebooting"),
    }
)
# By status, whether the update succeeded.
UPDATED = {
    "Installed": True,
    "DownloadFailed": False,
    "InstallationFailed": False,
    "InstallVerificationFailed": False,
    "InvalidSignature": False,
}
COMMAND_END = ("state", "is_late", "response", "error_code", "error_description", "response_time_ms")


def connected(charge_point_id: int, at: datetime, address: str) -> Happened:
    return Happened(charge_point_id, EventType.CONNECTED, {"connected_at": at, "address": address})


def disconnected(charge_point_id: int, at: datetime | None) -> Happened:
    return Happened(charge_point_id, EventType.DISCONNECTED, {"disconnected_at": at})


def booted(charge_point_id: int, at: datetime, hardware: Mapping[str, str]) -> Happened:
    return Happened(charge_point_id, EventType.BOOTED, {"booted_at": at, **hardware})


def session_authorized(charge_point_id: int, id_tag: str, found: Authorization) -> Happened:
    data = {"id_tag": id_tag, "expiry_date": found.expiry_date, "parent_id_tag": found.parent_id_tag or None}
    return Happened(charge_point_id, EventType.SESSION_AUTHORIZED, data)


def session(transaction: Transaction) -> dict[str, Any]:
    """What every event of a session says."""
    return {
        "transaction_id": transaction.pk,
        "connector_id": transaction.connector_id,
        "id_tag": transaction.id_tag,
        "start_time": transaction.started_at,
        "meter_start": transaction.meter_start,
    }


def session_started(transaction: Transaction, command_id: Any) -> Happened:
    data = {
        **session(transaction),
        "authorization_status": transaction.authorization_status,
        "reservation_id": transaction.reservation_id,
        "command_id": command_id,
    }
    return Happened(transaction.charge_point_id, EventType.SESSION_STARTED, data)


def session_updated(transaction: Transaction) -> Happened:
    data = {
        **session(transaction),
        "current_meter_value": transaction.current_meter_value,
        "energy_delivered_wh": transaction.energy_delivered_wh,
        "timestamp": transaction.latest_meter_at,
    }
    return Happened(transaction.charge_point_id, EventType.SESSION_UPDATED, data)


def session_ended(transaction: Transaction) -> Happened:
    """Of a transaction that has its end; its values are as they were stored."""
    data = {
        **session(transaction),
        "stop_time": transaction.stopped_at,
        "meter_stop": transaction.meter_stop,
        "energy_delivered_wh": transaction.energy_delivered_wh,
        "duration_seconds": transaction.duration_seconds,
        "reason": transaction.stop_reason or None,
        "inferred": transaction.state == "inferred",
    }
    return Happened(transaction.charge_point_id, EventType.SESSION_ENDED, data)


def firmware_reported(charge_point_id: int, status: str, before: str, request_id: int | None) -> list[Happened]:
    """What a step of a firmware update begins or ends, if anything."""
    data = {"status": status, "request_id": request_id}
    if status in UPDATING and before not in UPDATING:
        return [Happened(charge_point_id, EventType.FIRMWARE_STARTED, data)]
    if status in UPDATED and status != before:
        data["successful"] = UPDATED[status]
        return [Happened(charge_point_id, EventType.FIRMWARE_COMPLETED, data)]
    return []


def diagnostics_reported(charge_point_id: int, status: str, before: str, request_id: int | None) -> list[Happened]:
    if status != "Uploaded" or before == status:
        return []
    return [Happened(charge_point_id, EventType.DIAGNOSTICS_UPLOADED, {"status": status, "request_id": request_id})]


def security_event(event: SecurityEvent) -> Happened:
    data = {
        "type": event.type,
        "technical_information": event.technical_information or None,
        "timestamp": event.timestamp,
    }
    return Happened(event.charge_point_id, EventType.SECURITY_EVENT, data)


def command_ended(command: Any, values: Mapping[str, Any]) -> list[Happened]:
    """The end of a row of the command log, with the values that it gets; one too many never began."""
    end = {name: values[name] if name in values else getattr(command, name) for name in COMMAND_END}
    if end["state"] == "rate_limited":
        return []
    data = {
        "command_id": command.pk,
        "command": command.action,
        **end,
        "error_code": end["error_code"] or None,
        "error_description": end["error_description"] or None,
    }
    return [Happened(command.charge_point_id, EventType.COMMAND_COMPLETED, data)]
