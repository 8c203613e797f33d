"""What the API's documentation shows of each command: a request, and the answer to it."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

CHARGE_POINT = {"charge_point_id": "CP-SITE42-001"}


def answered(*, sent_at: str, **members: Any) -> dict[str, Any]:
    return {**CHARGE_POINT, **members, "sent_at": sent_at}


CONFIGURATION = [
    {"key": "HeartbeatInterval", "readonly": False, "value": "30"},
    {"key": "MeterValueSampleInterval", "readonly": False, "value": "30"},
]
PROFILE = {
    "chargingProfileId": 101,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7400}, {"startPeriod": 3600, "limit": 11000}],
    },
}

EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "send_command": (
        {
            **CHARGE_POINT,
            "command": "GetConfiguration",
            "payload": {"key": ["HeartbeatInterval", "MeterValueSampleInterval"]},
        },
        {
            **CHARGE_POINT,
            "command": "GetConfiguration",
            "status": "Accepted",
            "response": {"configurationKey": CONFIGURATION, "unknownKey": []},
            "sent_at": "2024-03-10T15:00:00Z",
            "response_time_ms": 218,
        },
    ),
    "remote_start_transaction": (
        {**CHARGE_POINT, "id_tag": "RFID-USER-4A2F", "connector_id": 1},
        answered(connector_id=1, id_tag="RFID-USER-4A2F", status="Accepted", sent_at="2024-03-10T15:05:00Z"),
    ),
    "remote_stop_transaction": (
        {**CHARGE_POINT, "transaction_id": 10042},
        answered(transaction_id=10042, status="Accepted", sent_at="2024-03-10T16:00:00Z"),
    ),
    "change_availability": (
        {**CHARGE_POINT, "connector_id": 2, "type": "Inoperative"},
        answered(connector_id=2, type="Inoperative", status="Accepted", sent_at="2024-03-10T15:10:00Z"),
    ),
    "set_charging_profile": (
        {**CHARGE_POINT, "connector_id": 1, "charging_profile": PROFILE},
        answered(connector_id=1, charging_profile_id=101, status="Accepted", sent_at="2024-03-10T15:15:00Z"),
    ),
    "clear_charging_profile": (
        {**CHARGE_POINT, "id": 101},
        answered(status="Accepted", sent_at="2024-03-10T15:20:00Z"),
    ),
    "reset": (
        {**CHARGE_POINT, "type": "Soft"},
        answered(type="Soft", status="Accepted", sent_at="2024-03-10T15:25:00Z"),
    ),
    "trigger_message": (
        {**CHARGE_POINT, "requested_message": "StatusNotification", "connector_id": 1},
        answered(requested_message="StatusNotification", status="Accepted", sent_at="2024-03-10T15:30:00Z"),
    ),
    "reserve_now": (
        {
            **CHARGE_POINT,
            "connector_id": 1,
            "expiry_date": "2024-03-10T17:00:00Z",
            "id_tag": "RFID-USER-4A2F",
            "reservation_id": 5001,
        },
        answered(
            connector_id=1,
            reservation_id=5001,
            status="Accepted",
            expires_at="2024-03-10T17:00:00Z",
            sent_at="2024-03-10T15:35:00Z",
        ),
    ),
    "cancel_reservation": (
        {**CHARGE_POINT, "reservation_id": 5001},
        answered(reservation_id=5001, status="Accepted", sent_at="2024-03-10T15:40:00Z"),
    ),
}

COMMAND = OpenApiExample(
    "command",
    value={
        "id": "7f0e9c5e-6f0b-4d0a-9d55-2f6b1f7a1c11",
        **CHARGE_POINT,
        "command": "RemoteStartTransaction",
        "payload": {"connectorId": 1, "idTag": "RFID-USER-4A2F"},
        "state": "accepted",
        "late": False,
        "status": "Accepted",
        "response": {"status": "Accepted"},
        "error": None,
        "response_time_ms": 218,
        "created_at": "2024-03-10T15:05:00Z",
        "sent_at": "2024-03-10T15:05:00Z",
        "ended_at": "2024-03-10T15:05:01Z",
        "expires_at": None,
        "transaction_id": 10042,
        "start_timeout": False,
        "api_key": "dyn_live_x7Hk2pQa",
        "request_id": "5b1f3a52-9a40-4f0e-8f6d-1d9d2a7a3c55",
    },
    response_only=True,
)

MESSAGE = OpenApiExample(
    "message",
    response_only=True,
    value={
        "at": "2024-03-10T15:55:00Z",
        "direction": "in",
        "kind": 2,
        "message_id": "19223201",
        "action": "Heartbeat",
        "frame": '[2,"19223201","Heartbeat",{}]',
    },
)
