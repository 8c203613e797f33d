"""Charging sessions, active and past."""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.scopes import READ_SESSIONS
from chargepoints import csv_files
from chargepoints.models import Transaction
from chargepoints.models.authorization import named

from . import examples
from .filters import Before, Flag, OfChargePoint, Since, Text
from .pages import FirstPages
from .rows import RowSerializer
from .views import ListView, ResourceView

TAGS = ["Sessions"]
SESSIONS = Transaction.objects.annotate(
    identity=F("charge_point__identity"), is_simulated=F("charge_point__is_simulated")
).order_by("-started_at", "-pk")
# The members of a session, and what they are of a row.
COLUMNS = {
    "transaction_id": "pk",
    "charge_point_id": "identity",
    "connector_id": "connector_id",
    "id_tag": "id_tag",
    "state": "state",
    "start_time": "started_at",
    "stop_time": "stopped_at",
    "meter_start": "meter_start",
    "meter_stop": "meter_stop",
    "current_meter_value": "current_meter_value",
    "energy_delivered_wh": "energy_delivered_wh",
    "duration_seconds": "duration_seconds",
    "stop_reason": "stop_reason",
    "stop_id_tag": "stop_id_tag",
    "authorization_status": "authorization_status",
    "reservation_id": "reservation_id",
    "is_simulated": "is_simulated",
}


class SessionSerializer(RowSerializer[Transaction]):
    """A charging session. `inferred` is the state of one that ended without a word of its own: at its last reading."""

    transaction_id = serializers.IntegerField(source="pk")
    charge_point_id = serializers.CharField(source="identity")
    start_time = serializers.DateTimeField(source="started_at")
    stop_time = serializers.DateTimeField(source="stopped_at", allow_null=True)
    current_meter_value = serializers.IntegerField(help_text="Wh")
    energy_delivered_wh = serializers.IntegerField()
    duration_seconds = serializers.IntegerField()
    is_simulated = serializers.BooleanField(help_text="Whether its charge point is a simulated one.")

    class Meta:
        model = Transaction
        fields = list(COLUMNS)


class SessionFilters(OfChargePoint):
    id_tag = Text(method="of_tag", help_text="Started by this id tag, in whatever case.")
    active = Flag(method="in_progress", help_text="Going on, or ended.")
    started_since = Since("started_at")
    started_before = Before("started_at")
    stopped_since = Since("stopped_at")
    stopped_before = Before("stopped_at")
    simulated = Flag(field_name="charge_point__is_simulated", help_text="Of simulated charge points, or of real ones.")

    def of_tag(self, sessions: QuerySet[Transaction], name: str, id_tag: str) -> QuerySet[Transaction]:
        return named(sessions, [id_tag])

    def in_progress(self, sessions: Any, name: str, is_active: bool) -> QuerySet[Transaction]:
        return sessions.active() if is_active else sessions.exclude(state=Transaction.State.ACTIVE)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_sessions",
        summary="List charging sessions",
        description=f"The newest first. Only the first {FirstPages.LIMIT:,} are counted and given by page: narrow the "
        "list by its filters, or take `sessions.csv`.",
        tags=TAGS,
        responses=SessionSerializer,
        examples=[examples.SESSION],
    )
)
class SessionsView(ListView[Transaction]):
    read_scope = READ_SESSIONS
    queryset = SESSIONS
    serializer_class = SessionSerializer
    filterset_class = SessionFilters
    list_name = "sessions"
    pages = FirstPages


@extend_schema_view(
    get=extend_schema(
        operation_id="export_sessions",
        summary="Export charging sessions as CSV",
        description="All sessions that the filters leave, the newest first, a member of a session in each column. "
        "Text that a spreadsheet would take for a formula begins with an apostrophe.",
        tags=TAGS,
        filters=True,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
)
class SessionsFileView(SessionsView):
    pagination_class = None

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        rows = self.filters().filter_queryset(self.rows())
        return file_of(
            "sessions", request, csv_files.stream(rows, list(COLUMNS), csv_files.attributes(*COLUMNS.values()))
        )


def file_of(name: str, request: Request, content: Any) -> HttpResponseBase:
    """The file, or to HEAD its headers."""
    response = csv_files.download(name, content)
    return response if request.method == "GET" else HttpResponse(headers=dict(response.headers))


@extend_schema_view(
    get=extend_schema(
        operation_id="get_session",
        summary="Read a charging session",
        description="Active or past, with what it has delivered so far.",
        tags=TAGS,
        responses=SessionSerializer,
        examples=[examples.SESSION],
    )
)
class SessionView(ResourceView[Transaction]):
    read_scope = READ_SESSIONS
    queryset = SESSIONS
    serializer_class = SessionSerializer

    def get(self, request: Request, transaction_id: int) -> Response:
        return Response(self.get_serializer(self.find(pk=transaction_id)).data)
