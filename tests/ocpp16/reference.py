"""The API reference, as data: what each command is sent, what must go over the wire, and what must come back."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

IDENTITY = "CP-SITE42-001"
# The reference's own date has passed, so a reservation until then would be refused.
EXPIRY = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
SENT_AT = object()
RESPONSE_TIME = object()

PROFILE = {
    "chargingProfileId": 101,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [
            {"startPeriod": 0, "limit": 7400},
            {"startPeriod": 3600, "limit": 11000},
        ],
    },
}


@dataclass(frozen=True)
class Example:
    """One command of the reference. `answer` is in the order of the reference; SENT_AT stands for a time."""

    request: dict[str, Any]
    action: str
    payload: dict[str, Any]
    answer: list[tuple[str, Any]]
    call_result: Any = None
    required: tuple[str, ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        return {"charge_point_id": IDENTITY, **deepcopy(self.request)}


ACCEPTED = {"status": "Accepted"}
CONFIGURATION = {
    "configurationKey": [
        {"key": "HeartbeatInterval", "readonly": False, "value": "30"},
        {"key": "MeterValueSampleInterval", "readonly": False, "value": "30"},
    ],
    "unknownKey": [],
}

EXAMPLES = {
    "send_command": Example(
        {"command": "GetConfiguration", "payload": {"key": ["HeartbeatInterval", "MeterValueSampleInterval"]}},
        "GetConfiguration",
        {"key": ["HeartbeatInterval", "MeterValueSampleInterval"]},
        [
            ("charge_point_id", IDENTITY),
            ("command", "GetConfiguration"),
            ("status", "Accepted"),
            ("response", CONFIGURATION),
            ("sent_at", SENT_AT),
            ("response_time_ms", RESPONSE_TIME),
        ],
        CONFIGURATION,
        ("command", "payload"),
    ),
    "remote_start_transaction": Example(
        {"id_tag": "RFID-USER-4A2F", "connector_id": 1},
        "RemoteStartTransaction",
        {"connectorId": 1, "idTag": "RFID-USER-4A2F"},
        [
            ("charge_point_id", IDENTITY),
            ("connector_id", 1),
            ("id_tag", "RFID-USER-4A2F"),
            ("status", "Accepted"),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("id_tag",),
    ),
    "remote_stop_transaction": Example(
        {"transaction_id": 10042},
        "RemoteStopTransaction",
        {"transactionId": 10042},
        [
            ("charge_point_id", IDENTITY),
            ("transaction_id", 10042),
            ("status", "Accepted"),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("transaction_id",),
    ),
    "change_availability": Example(
        {"connector_id": 2, "type": "Inoperative"},
        "ChangeAvailability",
        {"connectorId": 2, "type": "Inoperative"},
        [
            ("charge_point_id", IDENTITY),
            ("connector_id", 2),
            ("type", "Inoperative"),
            ("status", "Accepted"),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("connector_id", "type"),
    ),
    "set_charging_profile": Example(
        {"connector_id": 1, "charging_profile": PROFILE},
        "SetChargingProfile",
        {"connectorId": 1, "csChargingProfiles": PROFILE},
        [
            ("charge_point_id", IDENTITY),
            ("connector_id", 1),
            ("charging_profile_id", 101),
            ("status", "Accepted"),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("connector_id", "charging_profile"),
    ),
    "clear_charging_profile": Example(
        {"id": 101},
        "ClearChargingProfile",
        {"id": 101},
        [("charge_point_id", IDENTITY), ("status", "Accepted"), ("sent_at", SENT_AT)],
        ACCEPTED,
    ),
    "reset": Example(
        {"type": "Soft"},
        "Reset",
        {"type": "Soft"},
        [("charge_point_id", IDENTITY), ("type", "Soft"), ("status", "Accepted"), ("sent_at", SENT_AT)],
        ACCEPTED,
        ("type",),
    ),
    "trigger_message": Example(
        {"requested_message": "StatusNotification", "connector_id": 1},
        "TriggerMessage",
        {"requestedMessage": "StatusNotification", "connectorId": 1},
        [
            ("charge_point_id", IDENTITY),
            ("requested_message", "StatusNotification"),
            ("status", "Accepted"),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("requested_message",),
    ),
    "reserve_now": Example(
        {"connector_id": 1, "expiry_date": EXPIRY, "id_tag": "RFID-USER-4A2F", "reservation_id": 5001},
        "ReserveNow",
        {"connectorId": 1, "expiryDate": EXPIRY, "idTag": "RFID-USER-4A2F", "reservationId": 5001},
        [
            ("charge_point_id", IDENTITY),
            ("connector_id", 1),
            ("reservation_id", 5001),
            ("status", "Accepted"),
            ("expires_at", EXPIRY),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("connector_id", "expiry_date", "id_tag", "reservation_id"),
    ),
    "cancel_reservation": Example(
        {"reservation_id": 5001},
        "CancelReservation",
        {"reservationId": 5001},
        [
            ("charge_point_id", IDENTITY),
            ("reservation_id", 5001),
            ("status", "Accepted"),
            ("sent_at", SENT_AT),
        ],
        ACCEPTED,
        ("reservation_id",),
    ),
}
