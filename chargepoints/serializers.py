from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apikeys.fields import MAXIMUM_PER_PAGE, Count

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


class ActiveTransactionSerializer(serializers.ModelSerializer[Transaction]):
    transaction_id = serializers.IntegerField(source="pk")
    # Of itself it would be described with the bounds that the database has: of each another.
    connector_id = serializers.IntegerField(min_value=0)
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
    connector_id = serializers.IntegerField(min_value=0)
    info = serializers.CharField(allow_null=True)

    class Meta:
        model = Connector
        fields = ["connector_id", "status", "error_code", "info", "timestamp"]


class ChargePointStatusSerializer(serializers.ModelSerializer[ChargePoint]):
    charge_point_id = serializers.CharField(source="identity")
    online = serializers.BooleanField()
    last_heartbeat_at = serializers.DateTimeField(
        source="last_seen_at", allow_null=True, help_text="The newest sign of life: any message counts."
    )
    connectors = ConnectorSerializer(many=True)

    class Meta:
        model = ChargePoint
        fields = ["charge_point_id", "online", "last_heartbeat_at", "connectors"]


class StatusesSerializer(serializers.Serializer[Any]):
    charge_points = ChargePointStatusSerializer(many=True)
    total = serializers.IntegerField()
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()


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
