"""The commands of the API. A new one is a serializer, and a line of COMMANDS."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

from rest_framework.fields import Field
from rest_framework.serializers import Serializer

from apikeys.fields import Integer, JSONObject, Moment, Text

from . import serializers as bodies
from .models import Command

SEEN = ("status", "sent_at")

# The members of success bodies that no request has.
ANSWER_FIELDS: dict[str, Field[Any, Any, Any, Any]] = {
    "status": Text(help_text="What the charge point answered."),
    "response": JSONObject(help_text="The payload that the charge point answered."),
    "sent_at": Moment(),
    "response_time_ms": Integer(help_text="From the API to the charge point and back."),
    "charging_profile_id": Integer(),
    "expires_at": Moment(),
}


class Endpoint(NamedTuple):
    """A row of COMMANDS: how a request becomes a CALL, and its end an answer."""

    action: str  # of OCPP; '' where the caller names it in `command`
    serializer: type[bodies.CommandSerializer]
    answer: tuple[str, ...]  # the members of the success body after `charge_point_id`, in order
    summary: str

    @property
    def is_raw(self) -> bool:
        """Whether the charge point's word is passed on, a refusal included."""
        return not self.action

    def action_for(self, serializer: bodies.CommandSerializer) -> str:
        return self.action or serializer.validated_data["command"]

    def body(self, serializer: bodies.CommandSerializer, command: Command) -> dict[str, Any]:
        """The success body; what the caller left out is null."""
        values = serializer.echoes() | result(command)
        return {name: written(field, values.get(name)) for name, field in answer_fields(self).items()}

    @property
    def answer_serializer(self) -> type[Serializer[Any]]:
        """The success body as a serializer: what is echoed looks as it did in the request."""
        return answer_serializer(self.serializer, self.answer)


@cache
def answer_fields(endpoint: Endpoint) -> dict[str, Field[Any, Any, Any, Any]]:
    """Those of the success body; a serializer of its own for each answer would take longer than all else about it."""
    return dict(endpoint.answer_serializer().fields)


def written(field: Field[Any, Any, Any, Any], value: Any) -> Any:
    return None if value is None else field.to_representation(value)


@cache
def answer_serializer(request: type[bodies.CommandSerializer], names: tuple[str, ...]) -> type[Serializer[Any]]:
    fields = {name: answer_field(request, name) for name in ("charge_point_id", *names)}
    return type(request.__name__.replace("Serializer", "Answer"), (Serializer,), fields)


def answer_field(request: type[bodies.CommandSerializer], name: str) -> Field[Any, Any, Any, Any]:
    field = deepcopy(request._declared_fields.get(name) or ANSWER_FIELDS[name])
    field.required, field.allow_null = True, not field.required
    return field


def result(command: Command) -> dict[str, Any]:
    """What became of a command, under the names of the API."""
    unsupported = command.state == Command.State.CALL_ERROR
    return {
        "status": "NotImplemented" if unsupported else command.status or "Accepted",
        "response": call_error(command) if unsupported else command.response,
        "sent_at": command.sent_at,
        "response_time_ms": command.response_time_ms,
    }


def call_error(command: Command) -> dict[str, Any]:
    return {
        "error_code": command.error_code,
        "error_description": command.error_description,
        "error_details": command.error_details or {},
    }


COMMANDS = {
    "send_command": Endpoint(
        "",
        bodies.SendCommandSerializer,
        ("command", "status", "response", "sent_at", "response_time_ms"),
        "Send any OCPP 1.6 command",
    ),
    "remote_start_transaction": Endpoint(
        "RemoteStartTransaction",
        bodies.RemoteStartTransactionSerializer,
        ("connector_id", "id_tag", *SEEN),
        "Start a charging session",
    ),
    "remote_stop_transaction": Endpoint(
        "RemoteStopTransaction",
        bodies.RemoteStopTransactionSerializer,
        ("transaction_id", *SEEN),
        "Stop a charging session",
    ),
    "change_availability": Endpoint(
        "ChangeAvailability",
        bodies.ChangeAvailabilitySerializer,
        ("connector_id", "type", *SEEN),
        "Change the availability of a connector or the whole charge point",
    ),
    "set_charging_profile": Endpoint(
        "SetChargingProfile",
        bodies.SetChargingProfileSerializer,
        ("connector_id", "charging_profile_id", *SEEN),
        "Limit or schedule charging power",
    ),
    "clear_charging_profile": Endpoint(
        "ClearChargingProfile",
        bodies.ClearChargingProfileSerializer,
        SEEN,
        "Remove charging profiles",
    ),
    "reset": Endpoint(
        "Reset",
        bodies.ResetSerializer,
        ("type", *SEEN),
        "Restart the charge point",
    ),
    "trigger_message": Endpoint(
        "TriggerMessage",
        bodies.TriggerMessageSerializer,
        ("requested_message", *SEEN),
        "Ask for an OCPP message at once",
    ),
    "reserve_now": Endpoint(
        "ReserveNow",
        bodies.ReserveNowSerializer,
        ("connector_id", "reservation_id", "status", "expires_at", "sent_at"),
        "Reserve a connector",
    ),
    "cancel_reservation": Endpoint(
        "CancelReservation",
        bodies.CancelReservationSerializer,
        ("reservation_id", *SEEN),
        "Cancel a reservation",
    ),
}
