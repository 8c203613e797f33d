"""What events tell: one table of their types, for the feed, webhooks, their documentation and the tests."""

from __future__ import annotations

from functools import cache, partial
from typing import Any, NamedTuple

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from .models import Event
from .models.event import EventType, told

ALL = "*"


class DataSerializer(serializers.Serializer[Any]):
    charge_point_id = serializers.CharField()
    is_simulated = serializers.BooleanField(help_text="Whether the charge point is a simulated one.")


class ConnectedSerializer(DataSerializer):
    connected_at = serializers.DateTimeField()
    address = serializers.CharField(help_text="Where it connected from.")


class DisconnectedSerializer(DataSerializer):
    disconnected_at = serializers.DateTimeField()


class BootedSerializer(DataSerializer):
    booted_at = serializers.DateTimeField()
    vendor = serializers.CharField(allow_blank=True)
    model = serializers.CharField(allow_blank=True)
    serial_number = serializers.CharField(allow_blank=True)
    charge_box_serial_number = serializers.CharField(allow_blank=True)
    firmware_version = serializers.CharField(allow_blank=True)
    iccid = serializers.CharField(allow_blank=True)
    imsi = serializers.CharField(allow_blank=True)
    meter_type = serializers.CharField(allow_blank=True)
    meter_serial_number = serializers.CharField(allow_blank=True)


class FaultSerializer(DataSerializer):
    connector_id = serializers.IntegerField(help_text="0 is the charge point itself.")
    status = serializers.CharField()
    error_code = serializers.CharField()
    info = serializers.CharField(allow_null=True)
    vendor_id = serializers.CharField(allow_null=True)
    vendor_error_code = serializers.CharField(allow_null=True)
    timestamp = serializers.DateTimeField(help_text="When the charge point says it changed.")


class StatusChangedSerializer(FaultSerializer):
    previous_status = serializers.CharField(allow_null=True, help_text="Null for the first that is known.")


class AuthorizedSerializer(DataSerializer):
    id_tag = serializers.CharField()
    expiry_date = serializers.DateTimeField(allow_null=True)
    parent_id_tag = serializers.CharField(allow_null=True)


class SessionSerializer(DataSerializer):
    transaction_id = serializers.IntegerField()
    connector_id = serializers.IntegerField()
    id_tag = serializers.CharField(allow_blank=True)
    start_time = serializers.DateTimeField()
    meter_start = serializers.IntegerField(help_text="Wh")


class SessionStartedSerializer(SessionSerializer):
    authorization_status = serializers.CharField(help_text="What the charge point was answered.")
    reservation_id = serializers.IntegerField(allow_null=True)
    command_id = serializers.UUIDField(allow_null=True, help_text="The remote start that it came from.")


class SessionUpdatedSerializer(SessionSerializer):
    current_meter_value = serializers.IntegerField(help_text="Wh")
    energy_delivered_wh = serializers.IntegerField()
    timestamp = serializers.DateTimeField(help_text="When the newest reading was taken.")


class SessionEndedSerializer(SessionSerializer):
    stop_time = serializers.DateTimeField()
    meter_stop = serializers.IntegerField(help_text="Wh")
    energy_delivered_wh = serializers.IntegerField()
    duration_seconds = serializers.IntegerField()
    reason = serializers.CharField(allow_null=True)
    inferred = serializers.BooleanField(
        help_text="The charge point told of no end. Should it do so later, another session.ended follows."
    )


class AnyJSON(serializers.JSONField):
    """Any JSON, null too: to say so by allow_null would describe null twice, as a type and as any value."""

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, None) if data is None else super().validate_empty_values(data)


class CommandCompletedSerializer(DataSerializer):
    command_id = serializers.UUIDField(help_text="What X-Command-Id said.")
    command = serializers.CharField()
    state = serializers.ChoiceField(["accepted", "rejected", "call_error", "timed_out", "lost", "cancelled"])
    is_late = serializers.BooleanField(help_text="The answer came after the timeout, of which another event has told.")
    response = AnyJSON(help_text="What the charge point answered; null where it did not.")
    error_code = serializers.CharField(allow_null=True)
    error_description = serializers.CharField(allow_null=True)
    response_time_ms = serializers.IntegerField(allow_null=True)


class StepSerializer(DataSerializer):
    status = serializers.CharField(help_text="As the charge point said it.")
    request_id = serializers.IntegerField(allow_null=True, help_text="That of the security extension's commands.")


class FirmwareCompletedSerializer(StepSerializer):
    successful = serializers.BooleanField()


class SecurityEventSerializer(DataSerializer):
    type = serializers.CharField()
    technical_information = serializers.CharField(allow_null=True)
    timestamp = serializers.DateTimeField()


class WebhookTestSerializer(serializers.Serializer[Any]):
    endpoint_id = serializers.UUIDField()


class Described(NamedTuple):
    """A row of EVENTS: when the event happens, and what its data are."""

    when: str
    data: type[serializers.Serializer[Any]]


EVENTS: dict[str, Described] = {
    EventType.CONNECTED: Described("A charge point that was offline is online.", ConnectedSerializer),
    EventType.DISCONNECTED: Described("A charge point is offline.", DisconnectedSerializer),
    EventType.BOOTED: Described("A charge point sent a BootNotification.", BootedSerializer),
    EventType.STATUS_CHANGED: Described(
        "The status, error code or information of a connector is another.", StatusChangedSerializer
    ),
    EventType.FAULT: Described("A connector has a fault that it did not have.", FaultSerializer),
    EventType.SESSION_AUTHORIZED: Described("An id tag was presented, and accepted.", AuthorizedSerializer),
    EventType.SESSION_STARTED: Described("A transaction has started.", SessionStartedSerializer),
    EventType.SESSION_UPDATED: Described(
        "A running transaction has a new reading; told about once a minute.", SessionUpdatedSerializer
    ),
    EventType.SESSION_ENDED: Described("A transaction has ended.", SessionEndedSerializer),
    EventType.COMMAND_COMPLETED: Described("A command has ended, in whatever way.", CommandCompletedSerializer),
    EventType.FIRMWARE_STARTED: Described("A firmware update has begun.", StepSerializer),
    EventType.FIRMWARE_COMPLETED: Described("A firmware update has ended.", FirmwareCompletedSerializer),
    EventType.DIAGNOSTICS_UPLOADED: Described("Diagnostics or a log have been uploaded.", StepSerializer),
    EventType.SECURITY_EVENT: Described(
        "A charge point reported a security event, or its messages were one.", SecurityEventSerializer
    ),
    EventType.TEST: Described("Somebody asked for a test of the endpoint.", WebhookTestSerializer),
}
# What can be subscribed to, and asked for in the feed.
TYPES = tuple(str(kind) for kind in EVENTS if kind != EventType.TEST)


def describe(kind: str, described: Described) -> type[serializers.Serializer[Any]]:
    """The serializer of whole events of a type."""
    words = "".join(word.title() for word in kind.replace(".", "_").split("_"))
    fields = {
        "__doc__": described.when,
        "id": serializers.UUIDField(help_text="The same however often the event is told."),
        "event": serializers.ChoiceField([kind]),
        "created_at": serializers.DateTimeField(),
        "data": described.data(),
    }
    return type(f"{words}EventSerializer", (serializers.Serializer,), fields)


# An event, as it is in the feed and in the body of a webhook.
EVENT = partial(
    PolymorphicProxySerializer,
    component_name="Event",
    serializers={str(kind): describe(kind, described) for kind, described in EVENTS.items()},
    resource_type_field_name="event",
)


@cache
def members(kind: str) -> tuple[str, ...]:
    """The names of the data of a type, in the order of their description."""
    return tuple(EVENTS[kind].data().fields)


def body(event: Event) -> dict[str, Any]:
    """What feed and webhooks say; the same for an event at any time."""
    data = dict(event.data)
    # One of a later release, before it was taken back, is told as it is.
    names = members(event.type) if event.type in EVENTS else ("charge_point_id", "is_simulated", *sorted(data))
    if event.charge_point is not None:
        data |= {"charge_point_id": event.charge_point.identity, "is_simulated": event.charge_point.is_simulated}
    return {
        "id": str(event.uuid),
        "event": event.type,
        "created_at": told(event.created_at),
        "data": {name: data.get(name) for name in names},
    }
