"""Bulk commands as resources: ordered, watched and stopped."""

from __future__ import annotations

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.urls import reverse
from django_filters.utils import translate_validation
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.fields import Integer, JSONObject, Moment, Text
from apikeys.permissions import permit_command
from chargepoints.api.charge_points import ChargePointFilters
from chargepoints.api.filters import OneOf
from chargepoints.api.pages import FirstPages
from chargepoints.api.rows import RowSerializer
from chargepoints.api.views import Conflict, ListView, ResourceView
from chargepoints.models import ChargePoint

from .models import BulkCommand, BulkTarget, Command
from .payloads import secret
from .serializers import SendCommandSerializer

TAGS = ["Bulk commands"]
LARGEST_BULK = 10_000
MOST_AT_ONCE = 100
EXAMPLE: dict[str, Any] = {
    "id": "0d4b1d1e-52b4-4c0e-9d0a-1f4f8a2b7c55",
    "command": "ChangeConfiguration",
    "payload": {"key": "HeartbeatInterval", "value": "60"},
    "state": "running",
    "reason": None,
    "total": 250,
    "counts": {"pending": 180, "begun": 10, "accepted": 58, "lost": 2},
    "at_once": 10,
    "canary": 5,
    "stop_on_failure_rate": 0.2,
    "created_at": "2024-03-10T15:00:00Z",
    "ended_at": None,
}
ORDERED = OpenApiExample("bulk command", value=EXAMPLE, response_only=True, status_codes=["200", "202"])
ORDER = OpenApiExample(
    "order",
    value={
        **{name: EXAMPLE[name] for name in ("command", "payload", "at_once", "canary", "stop_on_failure_rate")},
        "filter": {"vendor": "Acme", "online": "true"},
    },
    request_only=True,
)
RESULT = OpenApiExample(
    "result",
    value={
        "charge_point_id": "CP-SITE42-001",
        "state": "accepted",
        "status": "Accepted",
        "command_id": "7f0e9c5e-6f0b-4d0a-9d55-2f6b1f7a1c11",
    },
    response_only=True,
)


@extend_schema_field({"type": "number", "minimum": 0, "maximum": 1})
class Share(serializers.Field[Any, Any, Any, Any]):
    """A number from 0 to 1."""

    default_error_messages = {"invalid": "Must be a number from 0 to 1."}

    def to_internal_value(self, data: Any) -> float:
        if type(data) not in (int, float) or not 0 <= data <= 1:
            self.fail("invalid")
        return float(data)

    def to_representation(self, value: float) -> float:
        return value


class BulkOrderSerializer(SendCommandSerializer):
    """A command as `send_command` takes it, for the charge points of a list or of a filter."""

    charge_point_id = None  # type: ignore[assignment]
    charge_point_ids = serializers.ListField(
        child=Text(), required=False, allow_empty=False, max_length=LARGEST_BULK, help_text="In the order of sending."
    )
    filter = JSONObject(required=False, help_text="What `GET charge-points` can be filtered by, as it is now.")
    at_once = Integer(default=10, min_value=1, max_value=MOST_AT_ONCE, help_text="How many charge points at a time.")
    canary = Integer(
        default=0, min_value=0, max_value=LARGEST_BULK, help_text="How many go first; the others wait for their end."
    )
    stop_on_failure_rate = Share(
        required=False,
        allow_null=True,
        help_text="Go no further where more than this share failed, of the canary and then of all that have ended.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if ("charge_point_ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError({"charge_point_ids": ["Give either charge_point_ids or filter."]})
        if secret(attrs["command"], attrs["payload"]):
            problem = "One password for many charge points would be known to all of them: set it one by one."
            raise serializers.ValidationError({"payload": [problem]})
        return attrs


class BulkCommandSerializer(RowSerializer[BulkCommand]):
    command = serializers.CharField(source="action")
    payload = serializers.JSONField()
    state = serializers.ChoiceField(BulkCommand.State.choices)
    counts = serializers.SerializerMethodField(help_text="How many charge points are in each state of their results.")
    created_at, ended_at = Moment(), Moment(allow_null=True)

    class Meta:
        model = BulkCommand
        fields = [
            *("id", "command", "payload", "state", "reason", "total", "counts"),
            *("at_once", "canary", "stop_on_failure_rate", "created_at", "ended_at"),
        ]

    def get_counts(self, bulk: BulkCommand) -> dict[str, int]:
        return bulk.counts()


class BulkResultSerializer(RowSerializer[BulkTarget]):
    charge_point_id = serializers.CharField(source="charge_point.identity")
    state = serializers.CharField(help_text="`pending`, `begun`, then that of its command.")
    status = serializers.SerializerMethodField(help_text="What the charge point answered.")
    command_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = BulkTarget
        fields = ["charge_point_id", "state", "status", "command_id"]

    def get_status(self, target: BulkTarget) -> str | None:
        return target.command.status or None if target.command else None


@extend_schema_view(
    get=extend_schema(operation_id="list_bulk_commands", summary="List bulk commands", tags=TAGS, examples=[ORDERED]),
    post=extend_schema(
        operation_id="order_bulk_command",
        summary="Send a command to many charge points",
        description="Answers 202 at once; `Location` tells how far it has come. It goes on if our server restarts.",
        tags=TAGS,
        request=BulkOrderSerializer,
        responses={202: BulkCommandSerializer},
        examples=[ORDER, ORDERED],
    ),
)
class BulkCommandsView(ListView[BulkCommand]):
    """The bulk commands of the organization, newest first."""

    http_method_names = ["get", "head", "post"]
    queryset = BulkCommand.objects.order_by("-created_at", "-pk")
    serializer_class = BulkCommandSerializer
    list_name, pages = "bulk_commands", FirstPages

    def post(self, request: Request) -> Response:
        order = BulkOrderSerializer(data=request.data)
        order.is_valid(raise_exception=True)
        values = order.validated_data
        api_key: Any = request.auth
        permit_command(api_key, values["command"])
        charge_points = self.charge_points(values)
        bulk = BulkCommand.objects.order(
            charge_points,
            organization=api_key.organization,
            api_key=api_key,
            request_id=getattr(request, "request_id", ""),
            action=values["command"],
            payload=order.ocpp_payload(),
            at_once=values["at_once"],
            canary=min(values["canary"], len(charge_points)),
            stop_on_failure_rate=values.get("stop_on_failure_rate"),
        )
        bulk.refresh_from_db()
        path = reverse("bulk_command", args=[bulk.pk])
        return Response(self.get_serializer(bulk).data, status=202, headers={"Location": path})

    def charge_points(self, values: dict[str, Any]) -> list[int]:
        """The primary keys of those that are meant, or 400."""
        if "filter" in values:
            return self.filtered(values["filter"])
        return self.named(list(dict.fromkeys(values["charge_point_ids"])))

    def filtered(self, query: dict[str, Any]) -> list[int]:
        unknown = [name for name in query if name not in ChargePointFilters.base_filters]
        if unknown:
            raise serializers.ValidationError({f"filter.{name}": ["Unknown parameter."] for name in unknown})
        wrong = [name for name, value in query.items() if not isinstance(value, str)]
        if wrong:
            raise serializers.ValidationError({f"filter.{name}": ["Must be a string."] for name in wrong})
        filters = ChargePointFilters(query, self.reachable())
        if not filters.is_valid():
            raise translate_validation(filters.errors)
        found = list(filters.qs.order_by("identity").values_list("pk", flat=True)[: LARGEST_BULK + 1])
        if not 0 < len(found) <= LARGEST_BULK:
            problem = f"Matches more than {LARGEST_BULK:,} charge points." if found else "Matches no charge point."
            raise serializers.ValidationError({"filter": [problem]})
        return found

    def named(self, identities: list[str]) -> list[int]:
        found = dict(self.reachable().filter(identity__in=identities).values_list("identity", "pk"))
        missing = [identity for identity in identities if identity not in found]
        if missing:
            problems = [f"There is no {identity!r} in your organization." for identity in missing[:10]]
            raise serializers.ValidationError({"charge_point_ids": problems})
        return [found[identity] for identity in identities]

    def reachable(self) -> QuerySet[ChargePoint]:
        return ChargePoint.objects.for_key(self.request.auth)


class OneBulkCommandView(ResourceView[BulkCommand]):
    queryset = BulkCommand.objects.all()
    serializer_class = BulkCommandSerializer


@extend_schema_view(
    get=extend_schema(
        operation_id="read_bulk_command",
        summary="Read how far a bulk command has come",
        description="While it runs, and afterwards.",
        tags=TAGS,
        examples=[ORDERED],
    )
)
class BulkCommandView(OneBulkCommandView):
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(self.get_serializer(self.find(pk=pk)).data)


@extend_schema_view(
    post=extend_schema(
        operation_id="stop_bulk_command",
        summary="Stop a bulk command",
        description="It goes to no further charge point; what is on its way ends by itself.",
        tags=TAGS,
        request=None,
        responses=BulkCommandSerializer,
        examples=[ORDERED],
    )
)
class BulkCommandStopView(OneBulkCommandView):
    http_method_names = ["post"]

    def post(self, request: Request, pk: uuid.UUID) -> Response:
        if not self.find(pk=pk).stop("It was stopped by request."):
            raise Conflict("state", f"The bulk command is {self.find(pk=pk).state}: only one that runs can be stopped.")
        return Response(self.get_serializer(self.find(pk=pk)).data)


class ResultFilters(django_filters.FilterSet):
    state = OneOf([*BulkTarget.OPEN, *Command.State.values])


@extend_schema_view(
    get=extend_schema(
        operation_id="list_bulk_results",
        summary="List the results of a bulk command",
        description="Its charge points in their order, each with what became of its command.",
        tags=TAGS,
        examples=[RESULT],
    )
)
class BulkResultsView(ListView[Any]):
    queryset = BulkCommand.objects.all()
    serializer_class = BulkResultSerializer
    filterset_class = ResultFilters
    list_name, pages = "results", FirstPages

    def rows(self) -> QuerySet[Any]:
        return self.find(pk=self.kwargs["pk"]).targets.select_related("charge_point", "command").order_by("position")
