"""Commands as resources: what became of each, whoever waited for it."""

from __future__ import annotations

import base64
import uuid
from datetime import datetime
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.fields import Moment
from chargepoints.api.filters import Before, Flag, OneOf, Since, Text
from chargepoints.api.pages import Cursor, CursorField, CursorQuery
from chargepoints.api.rows import RowSerializer
from chargepoints.api.views import Conflict, ListView, ResourceView

from .examples import COMMAND
from .models import Command
from .payloads import COMMAND_ACTIONS, masked

TAGS = ["Commands"]
COMMANDS = Command.objects.select_related("charge_point", "api_key")
STATES = {
    "queued": "it waits for its turn, or for its charge point",
    "sent": "it is on its way, or the charge point has not answered yet",
    "accepted": "the charge point answered, and not with Rejected",
    "rejected": "the charge point refused it, or its answer could not be read",
    "call_error": "the charge point answered with a CALLERROR",
    "timed_out": "there was no answer in time; one that comes late still completes it",
    "lost": "the charge point was not connected, or its connection ended before it answered",
    "rate_limited": "it was not sent: there were too many",
    "cancelled": "it was not sent: you cancelled it",
}


class CommandErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="The code of the CALLERROR; empty where the charge point sent none.")
    description = serializers.CharField()
    details = serializers.JSONField()


class CommandResourceSerializer(RowSerializer[Command]):
    charge_point_id = serializers.CharField(source="charge_point.identity")
    command = serializers.CharField(source="action", help_text="The action of OCPP.")
    payload = serializers.SerializerMethodField(help_text="As it was sent; passwords are masked.")
    state = serializers.ChoiceField(
        Command.State.choices, help_text="; ".join(f"`{state}`: {text}" for state, text in STATES.items()) + "."
    )
    late = serializers.BooleanField(source="is_late", help_text="Whether the answer came after the timeout.")
    status = serializers.SerializerMethodField(help_text="The `status` that the charge point answered.")
    response = serializers.JSONField(read_only=True, help_text="What it answered; null where it did not.")
    error = serializers.SerializerMethodField(help_text="Why there is no answer, where there is none to be.")
    api_key = serializers.SerializerMethodField(help_text="The prefix of the key that sent it; null for staff.")
    transaction_id = serializers.IntegerField(allow_null=True, help_text="What this remote start started.")
    start_timeout = serializers.BooleanField(help_text="Whether it was accepted, and no transaction came of it.")
    created_at, sent_at, ended_at = Moment(), Moment(allow_null=True), Moment(allow_null=True)
    expires_at = Moment(allow_null=True, help_text="Until when it waits for its charge point to be online.")

    class Meta:
        model = Command
        fields = [
            *("id", "charge_point_id", "command", "payload", "state", "late", "status", "response", "error"),
            *("response_time_ms", "created_at", "sent_at", "ended_at", "expires_at"),
            *("transaction_id", "start_timeout", "api_key", "request_id"),
        ]

    def get_payload(self, command: Command) -> dict[str, Any]:
        return masked(command.action, command.payload)

    def get_status(self, command: Command) -> str | None:
        return command.status or None

    def get_error(self, command: Command) -> dict[str, Any] | None:
        if not command.error_code and not command.error_description:
            return None
        details = command.error_details or {}
        return {"code": command.error_code, "description": command.error_description, "details": details}

    def get_api_key(self, command: Command) -> str | None:
        return command.api_key.prefix if command.api_key else None


def as_resource(pk: uuid.UUID) -> dict[str, Any]:
    """The command as it stands in the database, as the API tells it."""
    return CommandResourceSerializer(COMMANDS.get(pk=pk)).data


class CommandFilters(django_filters.FilterSet):
    charge_point_id = Text(field_name="charge_point__identity", help_text="To this charge point only.")
    command = OneOf(COMMAND_ACTIONS, field_name="action", help_text="Of this action of OCPP only.")
    state = OneOf(Command.State.values)
    late = Flag(field_name="is_late", help_text="Answered after the timeout, or not.")
    api_key = Text(field_name="api_key__prefix", help_text="Sent by the key with this prefix only.")
    since = Since("created_at")
    before = Before("created_at")


class PlaceField(serializers.Field[Any, Any, Any, Any]):
    """Where a page ended: opaque to the caller, the time and the id of its last command to us."""

    default_error_messages = CursorField.default_error_messages

    def to_internal_value(self, data: Any) -> tuple[datetime, uuid.UUID]:
        try:
            moment, pk = base64.urlsafe_b64decode(data.encode("ascii")).decode("ascii").split(" ")
            place = datetime.fromisoformat(moment), uuid.UUID(pk)
        except ValueError:
            self.fail("invalid")
        if write_place(*place) != data:
            self.fail("invalid")
        return place


def write_place(moment: datetime, pk: uuid.UUID) -> str:
    return base64.urlsafe_b64encode(f"{moment.isoformat()} {pk}".encode()).decode()


class CommandCursorQuery(CursorQuery):
    cursor = PlaceField(required=False)  # type: ignore[assignment]


class CommandCursor(Cursor):
    """Commands have no number that counts up: their place is their time, and among equals their id."""

    query = CommandCursorQuery
    order = ("-created_at", "-pk")

    def behind(self, rows: QuerySet[Any], place: Any) -> QuerySet[Any]:
        moment, pk = place
        return rows.filter(created_at__lte=moment).exclude(created_at=moment, pk__gte=pk)

    def write(self, row: Any) -> str:
        return write_place(row.created_at, row.pk)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_commands",
        summary="List commands",
        description="All commands to the charge points of the organization, whoever sent them, newest first.",
        tags=TAGS,
        examples=[COMMAND],
    )
)
class CommandsView(ListView[Command]):
    """The commands of the organization, newest first."""

    queryset = COMMANDS
    serializer_class = CommandResourceSerializer
    filterset_class = CommandFilters
    list_name, pages = "commands", CommandCursor


class OneCommandView(ResourceView[Command]):
    queryset = COMMANDS
    serializer_class = CommandResourceSerializer


@extend_schema_view(
    get=extend_schema(
        operation_id="read_command",
        summary="Read a command",
        description="What became of it, at any time: every response to a command names it in X-Command-Id.",
        tags=TAGS,
        examples=[COMMAND],
    )
)
class CommandResourceView(OneCommandView):
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        return Response(self.get_serializer(self.find(pk=pk)).data)


@extend_schema_view(
    post=extend_schema(
        operation_id="cancel_command",
        summary="Cancel a command",
        description="Of a command that waits for its charge point to be online; any other cannot be called back: 409.",
        tags=TAGS,
        request=None,
        responses=CommandResourceSerializer,
        examples=[COMMAND],
    )
)
class CommandCancellationView(OneCommandView):
    http_method_names = ["post"]

    def post(self, request: Request, pk: uuid.UUID) -> Response:
        if not self.find(pk=pk).cancel():
            raise Conflict("state", f"The command is {self.find(pk=pk).state}: only one that waits can be cancelled.")
        return Response(as_resource(pk))
