"""What the API's documentation shows of the reads."""

from drf_spectacular.utils import OpenApiExample

ACTIVE_TRANSACTIONS = OpenApiExample(
    "active_transactions",
    response_only=True,
    value={
        "charge_point_id": "CP-SITE42-001",
        "active_transactions": [
            {
                "transaction_id": 10042,
                "connector_id": 2,
                "id_tag": "RFID-USER-9B3E",
                "start_time": "2024-03-10T14:45:00Z",
                "meter_start": 10500,
                "current_meter_value": 11250,
                "energy_delivered_wh": 750,
                "duration_seconds": 900,
            }
        ],
        "total": 1,
    },
)

CHARGE_POINT_STATUSES = OpenApiExample(
    "charge_points_status",
    response_only=True,
    value={
        "charge_points": [
            {
                "charge_point_id": "CP-SITE42-001",
                "online": True,
                "last_heartbeat_at": "2024-03-10T15:58:30Z",
                "connectors": [
                    {
                        "connector_id": 1,
                        "status": "Available",
                        "error_code": "NoError",
                        "info": None,
                        "timestamp": "2024-03-10T15:55:00Z",
                    },
                    {
                        "connector_id": 2,
                        "status": "Faulted",
                        "error_code": "GroundFailure",
                        "info": "Ground fault detected on connector 2",
                        "timestamp": "2024-03-10T15:57:00Z",
                    },
                ],
            }
        ],
        "total": 1,
        "page": 1,
        "per_page": 50,
    },
)

SESSION_STARTED = {
    "id": "0d9bb4a1-6ab6-4a3c-9a7e-0f1f2c1b6f4e",
    "event": "session.started",
    "created_at": "2024-03-10T14:45:01Z",
    "data": {
        "charge_point_id": "CP-SITE42-001",
        "is_simulated": False,
        "transaction_id": 10042,
        "connector_id": 2,
        "id_tag": "RFID-USER-9B3E",
        "start_time": "2024-03-10T14:45:00Z",
        "meter_start": 10500,
        "authorization_status": "Accepted",
        "reservation_id": None,
        "command_id": None,
    },
}
EVENT_FEED = OpenApiExample(
    "events", response_only=True, value={"events": [SESSION_STARTED], "cursor": "MTo0MjE3", "has_more": False}
)
