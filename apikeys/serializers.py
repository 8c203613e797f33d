from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from .actions import COMMAND_ACTIONS
from .clock import now
from .fields import Choice, Integer, Moment, StrictSerializer, Text
from .key_texts import MODES
from .limits import IDENTITY_LENGTH, MAXIMUM_ADDRESSES, MAXIMUM_CHARGE_POINTS, MAXIMUM_RATE, NOT_A_NETWORK, network
from .models import ApiKey
from .scopes import SCOPES

DEFAULT_OVERLAP, MAXIMUM_OVERLAP = timedelta(hours=24), timedelta(days=7)


class RightsSerializer(serializers.ModelSerializer[ApiKey]):
    """What a key may do; `null` is no limit."""

    mode = serializers.ChoiceField(MODES, help_text="`test`: it reaches simulated charge points only.")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    allowed_commands = serializers.ListField(child=serializers.ChoiceField(COMMAND_ACTIONS), allow_null=True)
    allowed_charge_points = serializers.ListField(child=serializers.CharField(), allow_null=True)
    allowed_addresses = serializers.ListField(child=serializers.CharField(), allow_null=True)


class ApiKeySerializer(RightsSerializer):
    """A key without its secret, which nobody can be shown again."""

    state = serializers.ChoiceField(("active", "revoked", "expired"))

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "mode",
            "state",
            "scopes",
            "allowed_commands",
            "allowed_charge_points",
            "allowed_addresses",
            "requests_per_minute",
            "expires_at",
            "created_at",
            "last_used_at",
            "rotated_at",
            "revoked_at",
        ]


class IssuedApiKeySerializer(ApiKeySerializer):
    """A key that was just made, with its full text."""

    key = serializers.CharField(help_text="The full key, shown this one time.")

    class Meta(ApiKeySerializer.Meta):
        fields = ["key", *ApiKeySerializer.Meta.fields]


class ApiKeysSerializer(serializers.Serializer[Any]):
    api_keys = ApiKeySerializer(many=True)
    total = serializers.IntegerField()
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()


class Network(Text):
    """An IPv4 or IPv6 network in CIDR notation, or an address."""

    default_error_messages = {"invalid_network": NOT_A_NETWORK}

    def to_internal_value(self, data: Any) -> str:
        try:
            return str(network(super().to_internal_value(data)))
        except ValueError:
            self.fail("invalid_network")


def limit(child: Any, maximum: int, meaning: str) -> serializers.ListField:
    """An optional limit: a list of what is allowed, or null."""
    help_text = f"{meaning} Omitted: those of your own key. `null`: all."
    return serializers.ListField(
        child=child, min_length=1, max_length=maximum, required=False, allow_null=True, help_text=help_text
    )


class Mode(Choice):
    """`live` or `test`; True for test."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data) == MODES[True]


class NewApiKeySerializer(StrictSerializer):
    """What the caller says of a key to be made; of what it leaves out, the new key may what the caller's own may."""

    name = Text(max_length=100, help_text="What the key is for.")
    mode = Mode(
        MODES,
        source="is_test",
        required=False,
        help_text="`test`: it reaches simulated charge points only, and makes such keys only. Omitted: as your own.",
    )
    scopes = serializers.ListField(child=Choice(SCOPES), min_length=1)
    allowed_commands = limit(Choice(COMMAND_ACTIONS), len(COMMAND_ACTIONS), "The actions of OCPP that it may send.")
    allowed_charge_points = limit(
        Text(max_length=IDENTITY_LENGTH),
        MAXIMUM_CHARGE_POINTS,
        "The charge points that it reaches, registered or yet to be; others are for it as if they did not exist.",
    )
    allowed_addresses = limit(
        Network(max_length=50),
        MAXIMUM_ADDRESSES,
        "The networks that it may be used from, in CIDR notation; elsewhere it is like a key that does not exist.",
    )
    requests_per_minute = Integer(
        min_value=1,
        max_value=MAXIMUM_RATE,
        required=False,
        allow_null=True,
        help_text="Omitted: as your own key. `null`: the server's default.",
    )
    expires_at = Moment(
        required=False, allow_null=True, help_text="Omitted: when your own key does. `null`: it does not expire."
    )

    def validate_name(self, name: str) -> str:
        if name.strip() != name:
            raise serializers.ValidationError("Must not begin or end with a space.")
        return name

    def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is not None and expires_at <= now():
            raise serializers.ValidationError("Must be in the future.")
        return expires_at

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What is named twice counts once."""
        return {name: list(dict.fromkeys(value)) if isinstance(value, list) else value for name, value in attrs.items()}


class RotationSerializer(StrictSerializer):
    """How long the old key goes on beside the new one."""

    overlap_seconds = Integer(
        min_value=0,
        max_value=int(MAXIMUM_OVERLAP.total_seconds()),
        default=int(DEFAULT_OVERLAP.total_seconds()),
        help_text="How long the old key is still taken, at most seven days; 0 ends it at once.",
    )


class MeSerializer(RightsSerializer):
    organization = serializers.CharField(source="organization.name")

    class Meta:
        model = ApiKey
        fields = [
            "organization",
            "name",
            "prefix",
            "mode",
            "scopes",
            "allowed_commands",
            "allowed_charge_points",
            "allowed_addresses",
            "requests_per_minute",
            "expires_at",
        ]
