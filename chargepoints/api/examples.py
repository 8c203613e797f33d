"""What the documentation of the API shows of its resources."""

from typing import Any

from drf_spectacular.utils import OpenApiExample

AS_OF = "2024-03-10T15:58:30Z"

_connector = {
    "connector_id": 2,
    "status": "Charging",
    "error_code": "NoError",
    "info": None,
    "vendor_id": None,
    "vendor_error_code": None,
    "timestamp": "2024-03-10T14:45:05Z",
    "availability": None,
    "scheduled_availability": None,
    "as_of": AS_OF,
    "stale": False,
}
_charge_point = {
    "charge_point_id": "CP-SITE42-001",
    "description": "Car park, level 2",
    "is_simulated": False,
    "online": True,
    "as_of": AS_OF,
    "stale": False,
    "last_heartbeat_at": AS_OF,
    "connected_at": "2024-03-01T06:00:00Z",
    "disconnected_at": "2024-03-01T05:59:12Z",
    "last_boot_at": "2024-03-01T06:00:02Z",
    "address": "192.0.2.17",
    "registration_status": "Accepted",
    "security_profile": 2,
    "has_password": True,
    "heartbeat_interval": 300,
    "assume_ocpp16": False,
    "send_pings": True,
    "vendor": "Acme",
    "model": "Duo 22",
    "serial_number": "A22-0815",
    "charge_box_serial_number": None,
    "firmware_version": "3.1.4",
    "iccid": None,
    "imsi": None,
    "meter_type": None,
    "meter_serial_number": None,
    "firmware_status": None,
    "diagnostics_status": None,
    "created_at": "2024-02-28T09:00:00Z",
    "ocpp_endpoint": "wss://csms.example.com/ocpp16/CP-SITE42-001",
    "connectors": [_connector],
}


def _answer(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True)


def _request(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


CONNECTOR = _answer("connector", _connector)
CHARGE_POINT = _answer("charge point", _charge_point)
PROVISIONED = _answer(
    "charge point with its password", {**_charge_point, "password": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"}
)
NEW_CHARGE_POINT = _request(
    "new charge point", {"charge_point_id": "CP-SITE42-001", "description": "Car park, level 2", "security_profile": 2}
)
SETTINGS = _request("settings", {"description": "Car park, level 2", "heartbeat_interval": 300})
ROTATION = _request("rotation", {"keep_current": True})
SESSION = _answer(
    "session",
    {
        "transaction_id": 10042,
        "charge_point_id": "CP-SITE42-001",
        "connector_id": 2,
        "id_tag": "RFID-USER-9B3E",
        "state": "stopped",
        "start_time": "2024-03-10T14:45:00Z",
        "stop_time": "2024-03-10T16:00:05Z",
        "meter_start": 10500,
        "meter_stop": 18500,
        "current_meter_value": 18500,
        "energy_delivered_wh": 8000,
        "duration_seconds": 4505,
        "stop_reason": "EVDisconnected",
        "stop_id_tag": None,
        "authorization_status": "Accepted",
        "reservation_id": None,
        "is_simulated": False,
    },
)
METER_VALUES = _answer(
    "meter values",
    {
        "transaction_id": 10042,
        "charge_point_id": "CP-SITE42-001",
        "resolution": 900,
        "series": [
            {
                "measurand": "Power.Active.Import",
                "phase": None,
                "location": "Outlet",
                "unit": "W",
                "points": [
                    {
                        "timestamp": "2024-03-10T14:59:00Z",
                        "value": 7190.5,
                        "minimum": 7012,
                        "maximum": 7230,
                        "readings": 14,
                    }
                ],
            }
        ],
    },
)

_id_tag = {
    "id_tag": "RFID-USER-4A2F",
    "status": "Accepted",
    "authorization_status": "Accepted",
    "parent_id_tag": "FLEET-7",
    "expires_at": "2030-01-01T00:00:00Z",
    "allow_concurrent": False,
    "description": "Van 12",
    "created_at": "2024-02-28T09:00:00Z",
}
ID_TAG = _answer("id tag", _id_tag)
NEW_ID_TAG = _request("new id tag", {"id_tag": "RFID-USER-4A2F", "parent_id_tag": "FLEET-7", "description": "Van 12"})
BLOCKED = _request("to be blocked", {"status": "Blocked"})
BULK = _request(
    "many id tags",
    {"upsert": [{"id_tag": "RFID-USER-4A2F", "status": "Blocked"}, {"id_tag": "RFID-USER-9B3E"}], "delete": ["LOST-1"]},
)
BULK_RESULTS = _answer(
    "results",
    {
        "results": [
            {"id_tag": "RFID-USER-4A2F", "result": "updated"},
            {"id_tag": "RFID-USER-9B3E", "result": "created"},
            {"id_tag": "LOST-1", "result": "not_found"},
        ],
        "total": 3,
    },
)
RESERVATION = _answer(
    "reservation",
    {
        "charge_point_id": "CP-SITE42-001",
        "reservation_id": 5001,
        "connector_id": 1,
        "id_tag": "RFID-USER-4A2F",
        "parent_id_tag": None,
        "state": "active",
        "created_at": "2024-03-10T15:35:00Z",
        "expires_at": "2024-03-10T17:00:00Z",
        "ended_at": None,
    },
)
CHARGING_PROFILE = _answer(
    "charging profile",
    {
        "charge_point_id": "CP-SITE42-001",
        "connector_id": 1,
        "charging_profile_id": 101,
        "purpose": "TxDefaultProfile",
        "stack_level": 0,
        "charging_profile": {
            "chargingProfileId": 101,
            "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7400}],
            },
        },
        "created_at": "2024-03-10T15:15:00Z",
        "cleared_at": None,
    },
)
CONFIGURATION = _answer(
    "configuration key",
    {
        "key": "WebSocketPingInterval",
        "value": "20",
        "value_after_reboot": "60",
        "readonly": False,
        "as_of": "2024-03-10T15:00:00Z",
    },
)
REPORTED_STATUS = _answer(
    "reported status",
    {
        "connector_id": 2,
        "status": "Faulted",
        "error_code": "GroundFailure",
        "info": "Ground fault detected on connector 2",
        "vendor_id": None,
        "vendor_error_code": None,
        "timestamp": "2024-03-10T15:57:00Z",
        "received_at": "2024-03-10T15:57:01Z",
    },
)
SECURITY_EVENT = _answer(
    "security event",
    {
        "type": "TamperDetectionActivated",
        "technical_information": "door contact",
        "timestamp": "2024-03-10T15:57:00Z",
        "received_at": "2024-03-10T15:57:01Z",
    },
)
SUMMARY = _answer(
    "summary",
    {
        "total_chargers": 120,
        "online": 114,
        "offline": 6,
        "charging": 38,
        "available": 71,
        "faulted": 4,
        "active_sessions": 41,
        "total_energy_today_kwh": 1284.35,
    },
)
