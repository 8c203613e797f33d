"""The API of what is delivered to webhook endpoints."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.queries import page_of

from ..models import WebhookDelivery
from . import examples
from .serializers import (
    DeliveriesQuerySerializer,
    DeliveriesSerializer,
    DeliverySerializer,
    DeliveryWithBodySerializer,
    ResendSerializer,
    ResentSerializer,
)
from .views import TAGS, WebhookView


class ResendSinceView(WebhookView):
    """Everything that was delivered or given up since a time, again."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="resend_webhooks",
        summary="Deliver again what happened since a time",
        description="Receivers know an event again by its id.",
        tags=TAGS,
        request=ResendSerializer,
        responses=ResentSerializer,
        examples=[examples.RESEND, examples.RESENT],
    )
    def post(self, request: Request, endpoint_id: Any) -> Response:
        endpoint = self.endpoint()
        values = self.read(ResendSerializer, request.data)
        ended = endpoint.deliveries.ended().filter(created_at__gte=values["since"])
        if "status" in values:
            ended = ended.filter(state=values["status"])
        return Response({"resent": ended.resend()})


class DeliveriesView(WebhookView):
    """What was and is to be delivered to an endpoint, the newest first."""

    http_method_names = ["get", "head"]
    query_serializer_class = DeliveriesQuerySerializer

    @extend_schema(
        operation_id="webhook_deliveries",
        summary="List deliveries",
        tags=TAGS,
        parameters=[DeliveriesQuerySerializer],
        responses=DeliveriesSerializer,
        examples=[examples.DELIVERIES],
    )
    def get(self, request: Request, endpoint_id: Any) -> Response:
        rows = self.endpoint().deliveries.select_related("event__charge_point").order_by("-event_id")
        query = self.asked()
        if "status" in query:
            rows = rows.filter(state=query["status"])
        return Response(DeliveriesSerializer(page_of("deliveries", rows, query)).data)


class OfDelivery(WebhookView):
    def delivery(self) -> WebhookDelivery:
        deliveries = self.endpoint().deliveries.select_related("event__charge_point")
        found = deliveries.filter(pk=self.kwargs["delivery_id"]).first()
        if found is None:
            raise NotFound("There is no such delivery to this endpoint.")
        return found


class DeliveryView(OfDelivery):
    """One delivery, with what is sent."""

    http_method_names = ["get", "head"]

    @extend_schema(
        operation_id="webhook_delivery",
        summary="Get a delivery",
        tags=TAGS,
        responses=DeliveryWithBodySerializer,
        examples=[examples.DELIVERY],
    )
    def get(self, request: Request, endpoint_id: Any, delivery_id: Any) -> Response:
        return Response(DeliveryWithBodySerializer(self.delivery()).data)


class ResendView(OfDelivery):
    """One delivery, again."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="resend_webhook",
        summary="Deliver again",
        description="Delivers the event as if it had never been tried; one that waits for its next attempt, at once.",
        tags=TAGS,
        request=None,
        responses=DeliverySerializer,
        examples=[examples.PENDING],
    )
    def post(self, request: Request, endpoint_id: Any, delivery_id: Any) -> Response:
        self.endpoint().deliveries.filter(pk=self.delivery().pk).resend()
        return Response(DeliverySerializer(self.delivery()).data)
