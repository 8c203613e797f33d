"""The fleet in a few numbers."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Count, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.clock import now
from apikeys.fields import Choice
from apikeys.scopes import READ_ANALYTICS
from chargepoints.energy import delivered_since
from chargepoints.models import ChargePoint, Connector, Transaction
from chargepoints.models.connector import LISTED

from . import examples
from .views import ResourceView

COUNTED = {"charging": "Charging", "available": "Available", "faulted": "Faulted"}
IN_STATUS = "Online charge points with a connector in this status: one may be in several."


@extend_schema_field(OpenApiTypes.STR)
class TimeZoneField(serializers.Field[Any, Any, Any, Any]):
    default_error_messages = {"invalid": "Must be the name of a time zone, such as Europe/Berlin."}

    def to_internal_value(self, data: Any) -> ZoneInfo:
        try:
            return ZoneInfo(data)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail("invalid")

    def to_representation(self, value: Any) -> str:
        return str(value)


@extend_schema_field(OpenApiTypes.BOOL)
class FlagField(Choice):
    """`true` or `false`, as a query says it."""

    default_error_messages = {"invalid_choice": "Must be true or false."}

    def __init__(self, **options: Any) -> None:
        super().__init__(["true", "false"], **options)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data) == "true"


class SummaryQuery(serializers.Serializer[Any]):
    """The query string of the summary."""

    simulated = FlagField(required=False, help_text="Of simulated charge points only, or of real ones; else of all.")
    timezone = TimeZoneField(required=False, help_text="Whose day it is, such as `Europe/Berlin`; UTC if omitted.")


class SummarySerializer(serializers.Serializer[Any]):
    """The fleet, now and today."""

    total_chargers = serializers.IntegerField()
    online = serializers.IntegerField(help_text="Charge points whose socket is open.")
    offline = serializers.IntegerField()
    charging = serializers.IntegerField(help_text=IN_STATUS)
    available = serializers.IntegerField(help_text=IN_STATUS)
    faulted = serializers.IntegerField(help_text=IN_STATUS)
    active_sessions = serializers.IntegerField(help_text="Of offline charge points, too.")
    total_energy_today_kwh = serializers.FloatField(
        help_text="Delivered since midnight, in sessions that began before it, too."
    )


@extend_schema_view(
    get=extend_schema(
        operation_id="fleet_summary",
        summary="Read the fleet in a few numbers",
        description="They name no charge point and no driver.",
        tags=["Fleet"],
        parameters=[SummaryQuery],
        responses=SummarySerializer,
        examples=[examples.SUMMARY],
    )
)
class FleetSummaryView(ResourceView[ChargePoint]):
    read_scope = READ_ANALYTICS
    queryset = ChargePoint.objects.order_by()
    query_serializer_class = SummaryQuery

    def get(self, request: Request) -> Response:
        asked = self.asked()
        midnight = last_midnight(asked.get("timezone", UTC))
        charge_points: Any = self.get_queryset()
        if "simulated" in asked:
            charge_points = charge_points.filter(is_simulated=asked["simulated"])
        total, online = charge_points.count(), charge_points.online().count()
        sessions = Transaction.objects.filter(charge_point__in=charge_points)
        body = {
            "total_chargers": total,
            "online": online,
            # One that was registered between the questions is no reason for less than none.
            "offline": max(0, total - online),
            **counted(charge_points.online()),
            "active_sessions": sessions.active().order_by().count(),
            "total_energy_today_kwh": round(delivered_since(sessions, midnight) / 1000, 3),
        }
        return Response(body)


def last_midnight(zone: Any) -> datetime:
    """When today began there, by the shared clock."""
    return datetime.combine(now().astimezone(zone).date(), time.min, zone).astimezone(UTC)


def counted(charge_points: QuerySet[ChargePoint]) -> dict[str, int]:
    """How many of these have a connector in each of the statuses that are counted."""
    connectors = Connector.objects.filter(LISTED, charge_point__in=charge_points, status__in=COUNTED.values())
    counts = connectors.order_by().values_list("status").annotate(Count("charge_point", distinct=True))
    found = dict(counts)
    return {name: found.get(status, 0) for name, status in COUNTED.items()}
