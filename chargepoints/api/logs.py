"""Logs of a charge point, the newest first: what its connectors reported, and what concerns security."""

from __future__ import annotations

import django_filters
from drf_spectacular.utils import extend_schema, extend_schema_view

from chargepoints.models import ConnectorStatus, SecurityEvent

from . import examples
from .filters import Before, Number, Since, Text
from .pages import Cursor
from .rows import RowSerializer
from .views import ChargePointListView

TAGS = ["Logs"]


class ReportedStatusSerializer(RowSerializer[ConnectorStatus]):
    """One StatusNotification."""

    class Meta:
        model = ConnectorStatus
        fields = [
            *("connector_id", "status", "error_code", "info", "vendor_id", "vendor_error_code", "timestamp"),
            "received_at",
        ]


class StatusHistoryFilters(django_filters.FilterSet):
    connector_id = Number(help_text="Of this connector only; 0 is the charge point itself.")
    status = Text(help_text="Of this status only.")
    since = Since("received_at")
    before = Before("received_at")


@extend_schema_view(
    get=extend_schema(
        operation_id="list_status_history",
        summary="Read what the connectors of a charge point reported",
        description="As long as the retention keeps it, the newest first.",
        tags=TAGS,
        responses=ReportedStatusSerializer,
        examples=[examples.REPORTED_STATUS],
    )
)
class StatusHistoryView(ChargePointListView):
    serializer_class = ReportedStatusSerializer
    filterset_class = StatusHistoryFilters
    list_name = related = "status_history"
    pages = Cursor


class ReportedSecurityEventSerializer(RowSerializer[SecurityEvent]):
    """A security event that the charge point reported, or that was seen in what it sent."""

    class Meta:
        model = SecurityEvent
        fields = ["type", "technical_information", "timestamp", "received_at"]


class SecurityEventFilters(django_filters.FilterSet):
    type = Text(help_text="Of this type only.")
    since = Since("received_at")
    before = Before("received_at")


@extend_schema_view(
    get=extend_schema(
        operation_id="list_security_events",
        summary="Read the security events of a charge point",
        description="As long as the retention keeps them, the newest first.",
        tags=TAGS,
        responses=ReportedSecurityEventSerializer,
        examples=[examples.SECURITY_EVENT],
    )
)
class SecurityEventsView(ChargePointListView):
    serializer_class = ReportedSecurityEventSerializer
    filterset_class = SecurityEventFilters
    list_name = related = "security_events"
    pages = Cursor
