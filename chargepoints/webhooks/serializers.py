from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.fields import Choice, Moment, PageQuery, StrictSerializer, Text
from apikeys.key_texts import MODES

from ..events import EVENT, EVENTS, body
from ..models import WebhookDelivery, WebhookEndpoint
from ..models.webhook_endpoint import ALL, SUBSCRIBABLE
from .addresses import URL_LENGTH, validate_url

STATES = [str(state) for state in WebhookDelivery.State.values]


@extend_schema_field({"type": "string", "format": "uri", "maxLength": URL_LENGTH})
class URLField(Text):
    """Where webhooks may be sent to."""

    def to_internal_value(self, data: Any) -> str:
        url = super().to_internal_value(data)
        try:
            validate_url(url)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from None
        return url


class EndpointBodySerializer(StrictSerializer):
    """What can be said of an endpoint."""

    url = URLField(max_length=URL_LENGTH, help_text="Begins with https:// and leads to a public address.")
    events = serializers.ListField(
        child=Choice(SUBSCRIBABLE),
        min_length=1,
        max_length=len(SUBSCRIBABLE),
        help_text="The types of events that are delivered; `*` is all of them.",
    )
    description = Text(max_length=200, allow_blank=True)


class NewEndpointSerializer(EndpointBodySerializer):
    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name, default in (("events", [ALL]), ("description", "")):
            fields[name].required, fields[name].default = False, default
        return fields


class EndpointSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """An endpoint. What it is sent is held back while it is paused."""

    url = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(SUBSCRIBABLE))
    mode = serializers.ChoiceField(MODES, help_text="`test`: it is told of simulated charge points only.")
    status = serializers.ChoiceField(["active", "failing", "paused"])
    paused_reason = serializers.SerializerMethodField(
        help_text="`requested`; `failing`: nothing succeeded for a day; `gone`: it answered 410; `secret_unreadable`."
    )
    failing_since = serializers.DateTimeField(allow_null=True)
    previous_secret_expires_at = serializers.DateTimeField(source="previous_secret_until", allow_null=True)

    class Meta:
        model = WebhookEndpoint
        fields = [
            *("id", "url", "description", "events", "mode", "status", "paused_reason", "failing_since"),
            *("previous_secret_expires_at", "created_at"),
        ]

    def get_paused_reason(self, endpoint: WebhookEndpoint) -> str | None:
        return endpoint.paused_reason or None


class EndpointWithSecretSerializer(EndpointSerializer):
    """An endpoint with its secret, which is told this once."""

    secret = serializers.CharField(help_text="Begins with whsec_; what signatures are made with.")

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]


class EndpointsSerializer(serializers.Serializer[Any]):
    endpoints = EndpointSerializer(many=True)
    total = serializers.IntegerField()
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()


class AttemptSerializer(serializers.Serializer[Any]):
    """One request, and what was answered."""

    started_at = serializers.CharField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True, help_text="Why there is no whole answer.")
    answer = serializers.CharField(allow_blank=True, help_text="The beginning of the answer's body.")
    duration_ms = serializers.IntegerField()


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    """An event on its way to an endpoint, with the attempts so far, the last 50 of them."""

    event_id = serializers.UUIDField(source="event.uuid")
    event = serializers.ChoiceField(list(EVENTS), source="event.type")
    charge_point_id = serializers.CharField(source="event.charge_point.identity", default=None, allow_null=True)
    status = serializers.ChoiceField(STATES, source="state")
    attempts = AttemptSerializer(many=True)

    class Meta:
        model = WebhookDelivery
        fields = [
            *("id", "event_id", "event", "charge_point_id", "status", "created_at", "next_attempt_at", "ended_at"),
            "attempts",
        ]


class DeliveryWithBodySerializer(DeliverySerializer):
    body = serializers.SerializerMethodField(help_text="What is sent.")

    class Meta(DeliverySerializer.Meta):
        fields = [*DeliverySerializer.Meta.fields, "body"]

    @extend_schema_field(EVENT())
    def get_body(self, delivery: WebhookDelivery) -> dict[str, Any]:
        return body(delivery.event)


class DeliveriesQuerySerializer(PageQuery):
    status = serializers.ChoiceField(
        STATES, required=False, error_messages={"invalid_choice": f"Must be one of: {', '.join(STATES)}."}
    )


class DeliveriesSerializer(serializers.Serializer[Any]):
    deliveries = DeliverySerializer(many=True)
    total = serializers.IntegerField()
    page = serializers.IntegerField()
    per_page = serializers.IntegerField()


class ResendSerializer(StrictSerializer):
    since = Moment(help_text="Events that were published at this time or later are delivered again.")
    status = Choice(STATES[1:], required=False, help_text="Only those that ended so.")


class ResentSerializer(serializers.Serializer[Any]):
    resent = serializers.IntegerField(help_text="How many deliveries are pending again.")
