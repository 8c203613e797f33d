from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from rest_framework import serializers

from .clock import now
from .fields import MAXIMUM_PER_PAGE, Choice, Count, Integer, Moment, StrictSerializer, Text
from .models import ApiKey
from .scopes import SCOPES

DEFAULT_OVERLAP, MAXIMUM_OVERLAP = timedelta(hours=24), timedelta(days=7)


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key without its secret, which nobody can be shown again."""

    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))
    state = serializers.ChoiceField(("active", "revoked", "expired"))

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "prefix",
            "state",
            "scopes",
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


class PageSerializer(serializers.Serializer[Any]):
    """The query string of the list."""

    page = Count(min_value=1, default=1)
    per_page = Count(min_value=1, max_value=MAXIMUM_PER_PAGE, default=50)


class NewApiKeySerializer(StrictSerializer):
    """What the caller says of a key to be made; of what it leaves out, the new key may what the caller's own may."""

    name = Text(max_length=100, help_text="What the key is for.")
    scopes = serializers.ListField(child=Choice(SCOPES), min_length=1)
    expires_at = Moment(
        required=False, allow_null=True, help_text="Omitted: when your own key does. `null`: it does not expire."
    )

    def validate_name(self, name: str) -> str:
        if name.strip() != name:
            raise serializers.ValidationError("Must not begin or end with a space.")
        return name

    def validate_scopes(self, scopes: list[str]) -> list[str]:
        return list(dict.fromkeys(scopes))

    def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is not None and expires_at <= now():
            raise serializers.ValidationError("Must be in the future.")
        return expires_at


class RotationSerializer(StrictSerializer):
    """How long the old key goes on beside the new one."""

    overlap_seconds = Integer(
        min_value=0,
        max_value=int(MAXIMUM_OVERLAP.total_seconds()),
        default=int(DEFAULT_OVERLAP.total_seconds()),
        help_text="How long the old key is still taken, at most seven days; 0 ends it at once.",
    )


class MeSerializer(serializers.ModelSerializer[ApiKey]):
    organization = serializers.CharField(source="organization.name")
    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES))

    class Meta:
        model = ApiKey
        fields = ["organization", "name", "prefix", "scopes", "expires_at"]
