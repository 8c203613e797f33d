from __future__ import annotations

import re
from typing import Any

from rest_framework import serializers

from .models import ChargePoint, Connector, Transaction

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
MAXIMUM_PER_PAGE = 200


class ActiveTransactionSerializer(serializers.ModelSerializer[Transaction]):
    transaction_id = serializers.IntegerField(source="pk")
    start_time = serializers.DateTimeField(source="started_at")
    current_meter_value = serializers.IntegerField()
    energy_delivered_wh = serializers.IntegerField()
    duration_seconds = serializers.IntegerField()

    class Meta:
        model = Transaction
        fields = [
            "transaction_id",
            "connector_id",
            "id_tag",
            "start_time",
            "meter_start",
            "current_meter_value",
            "energy_delivered_wh",
            "duration_seconds",
        ]


class ActiveTransactionsSerializer(serializers.Serializer[Any]):
    charge_point_id = serializers.CharField()
    active_transactions = ActiveTransactionSerializer(many=True)
    total = serializers.IntegerField()


class ConnectorSerializer(serializers.ModelSerializer[Connector]):
    info = serializers.SerializerMethodField()

    class Meta:
        model = Connector
        fields = ["connector_id", "status", "error_code", "info", "timestamp"]

    def get_info(self, connector: Connector) -> str | None:
        return connector.info or None


class ChargePointStatusSerializer(serializers.ModelSerializer[ChargePoint]):
    charge_point_id = serializers.CharField(source="identity")
    online = serializers.BooleanField()
    last_heartbeat_at = serializers.DateTimeField(
        source="last_seen_at", allow_null=True, help_text="The newest sign of life: any message counts."
    )
    connectors = ConnectorSerializer(source="listed", many=True)

    class Meta:
        model = ChargePoint
        fields = ["charge_point_id", "online", "last_heartbeat_at", "connectors"]


class StatusesSerializer(serializers.Serializer[Any]):
    charge_points = ChargePointStatusSerializer(many=True)
    total = serializers.IntegerField()
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()


class Count(serializers.IntegerField):
    """A whole number as a query string writes it: digits only."""

    default_error_messages = {
        "invalid": "Must be a whole number.",
        "min_value": "Must be at least {min_value}.",
        "max_value": "Must be at most {max_value}.",
    }

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", data):
            self.fail("invalid")
        return int(data)


class StatusQuerySerializer(serializers.Serializer[Any]):
    """The query string of the status list."""

    status = serializers.ChoiceField(
        STATUSES,
        required=False,
        help_text="Keep charge points with a connector in this status.",
        error_messages={"invalid_choice": f"Must be one of: {', '.join(STATUSES)}."},
    )
    page = Count(min_value=1, default=1)
    per_page = Count(min_value=1, max_value=MAXIMUM_PER_PAGE, default=50)
