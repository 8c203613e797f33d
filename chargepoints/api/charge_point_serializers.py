from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from rest_framework import serializers

from apikeys.clock import now
from apikeys.fields import Boolean, Choice, Integer, StrictSerializer, Text
from chargepoints.fields import OptionalText
from chargepoints.identities import IDENTITY_LENGTH, socket_url, validate_identity
from chargepoints.models import ChargePoint, Connector
from chargepoints.models.charge_point import HARDWARE, RegistrationStatus, SecurityProfile

from .rows import RowSerializer

# OCPP 1.6 security white paper, A00.FR.205, and section 9.1 of OCPP-J: what an AuthorizationKey has.
PASSWORD_BYTES = range(16, 41)
HEARTBEATS_MISSED = 2
AS_OF = "As of when this is known: the charge point's newest sign of life."
STALE = "Whether it may be out of date: the charge point is offline, or silent for longer than two heartbeats take."


def is_stale(charge_point: Any) -> bool:
    """Whether what we know of it, read with `online`, may be out of date."""
    seen_at, patience = (
        charge_point.last_seen_at,
        timedelta(seconds=HEARTBEATS_MISSED * charge_point.heartbeat_interval),
    )
    return not charge_point.online or seen_at is None or now() - seen_at > patience


class ConnectorStateSerializer(RowSerializer[Connector]):
    """What a connector last said of itself."""

    as_of = serializers.SerializerMethodField(help_text=AS_OF)
    stale = serializers.SerializerMethodField(help_text=STALE)

    class Meta:
        model = Connector
        fields = [
            *("connector_id", "status", "error_code", "info", "vendor_id", "vendor_error_code", "timestamp"),
            *("availability", "scheduled_availability", "as_of", "stale"),
        ]

    def get_as_of(self, connector: Connector) -> datetime | None:
        return (
            self.fields["timestamp"].to_representation(connector.charge_point.last_seen_at)
            if connector.status
            else None
        )

    def get_stale(self, connector: Connector) -> bool:
        return not connector.status or is_stale(connector.charge_point)


class ChargePointSerializer(RowSerializer[ChargePoint]):
    """A charge point: how it may connect, what it told, and its connectors."""

    charge_point_id = serializers.CharField(source="identity")
    online = serializers.BooleanField(help_text="Whether its socket is open.")
    as_of = serializers.DateTimeField(source="last_seen_at", allow_null=True, help_text=AS_OF)
    stale = serializers.SerializerMethodField(help_text=STALE)
    last_heartbeat_at = serializers.DateTimeField(source="last_seen_at", allow_null=True)
    has_password = serializers.SerializerMethodField()
    heartbeat_interval = serializers.IntegerField(help_text="Seconds, as it is told when it boots.")
    ocpp_endpoint = serializers.SerializerMethodField(help_text="The URL to type into the charge point.")
    connectors = ConnectorStateSerializer(many=True, help_text="0 is the charge point itself.")

    class Meta:
        model = ChargePoint
        fields = [
            *(
                "charge_point_id",
                "description",
                "is_simulated",
                "online",
                "as_of",
                "stale",
                "last_heartbeat_at",
                "connected_at",
            ),
            *("disconnected_at", "last_boot_at", "address", "registration_status", "security_profile", "has_password"),
            *("heartbeat_interval", "assume_ocpp16", "send_pings", *HARDWARE, "firmware_status", "diagnostics_status"),
            *("created_at", "ocpp_endpoint", "connectors"),
        ]

    def get_stale(self, charge_point: ChargePoint) -> bool:
        return is_stale(charge_point)

    def get_has_password(self, charge_point: ChargePoint) -> bool:
        return bool(charge_point.password_digest)

    def get_ocpp_endpoint(self, charge_point: ChargePoint) -> str:
        return socket_url(self.context["request"], charge_point.identity)


class ProvisionedSerializer(ChargePointSerializer):
    """A charge point with its password, which is told this one time."""

    password = serializers.CharField(allow_null=True, help_text="Told this once; null where none is asked for.")

    class Meta(ChargePointSerializer.Meta):
        fields = [*ChargePointSerializer.Meta.fields, "password"]


class Password(Text):
    """An AuthorizationKey as it is typed into the charge point."""

    default_error_messages = {
        "length": f"Must have {PASSWORD_BYTES.start} to {PASSWORD_BYTES.stop - 1} bytes in UTF-8."
    }

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if len(text.encode()) not in PASSWORD_BYTES:
            self.fail("length")
        return text


class SettingsSerializer(StrictSerializer):
    """What of a charge point is ours to say."""

    description = OptionalText(max_length=200)
    security_profile = Integer(
        required=False,
        min_value=min(SecurityProfile),
        max_value=max(SecurityProfile),
        help_text="0: anybody may connect under this id; 1: password; 2: TLS and password; 3: client certificate.",
    )
    registration_status = Choice(RegistrationStatus.values, required=False)
    heartbeat_interval = Integer(
        source="heartbeat_interval_override",
        required=False,
        allow_null=True,
        min_value=1,
        help_text="Seconds; null: the organization's.",
    )
    assume_ocpp16 = Boolean(required=False, help_text="For hardware that offers no WebSocket subprotocol.")
    send_pings = Boolean(required=False, help_text="false for hardware that hangs up when pinged.")

    def validate_security_profile(self, profile: int) -> int:
        has_password = self.instance is None or self.instance.password_digest
        if SecurityProfile(profile).needs_password and not has_password:
            raise serializers.ValidationError("The charge point has no password yet. Set one; that requires it, too.")
        return profile

    def update(self, charge_point: ChargePoint, changes: dict[str, Any]) -> ChargePoint:
        ChargePoint.objects.filter(pk=charge_point.pk).update(**changes)
        return charge_point


class IdentitySerializer(StrictSerializer):
    """What a charge point is to be called."""

    charge_point_id = Text(max_length=IDENTITY_LENGTH, help_text="The last part of the URL at which it connects.")

    def validate_charge_point_id(self, identity: str) -> str:
        try:
            validate_identity(identity)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return identity


class NewChargePointSerializer(IdentitySerializer, SettingsSerializer):
    """A charge point to be."""

    password = Password(required=False, help_text="The one that the hardware has; if omitted, one is made.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        profile = SecurityProfile(attrs.setdefault("security_profile", SecurityProfile.BASIC))
        if "password" in attrs and not profile.needs_password:
            raise serializers.ValidationError({"password": [f"Security profile {profile:d} has no password."]})
        return attrs


class PasswordSerializer(StrictSerializer):
    """What the next password is to be."""

    password = Password(required=False, help_text="If omitted, one is made.")
    keep_current = Boolean(
        default=False, help_text="Let the present password be used, too, until the new one is used for the first time."
    )
