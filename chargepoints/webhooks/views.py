"""The API of webhooks: endpoints, and what was delivered to them."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from apikeys.fields import PageQuery
from apikeys.queries import StrictQueryView, page_of
from apikeys.scopes import WRITE_WEBHOOKS

from ..api.views import refuse_limited
from ..models import WebhookEndpoint
from ..models.webhook_endpoint import TooManyEndpoints
from ..views import OfOrganization
from . import examples
from .serializers import (
    EndpointBodySerializer,
    EndpointSerializer,
    EndpointsSerializer,
    EndpointWithSecretSerializer,
    NewEndpointSerializer,
)

TAGS = ["Webhooks"]


class WebhookView(OfOrganization, StrictQueryView, GenericAPIView[Any]):
    """What all views of webhooks have in common: whose endpoints they are about."""

    required_scope = WRITE_WEBHOOKS
    queryset = WebhookEndpoint.objects.all()

    def check_permissions(self, request: Any) -> None:
        super().check_permissions(request)
        refuse_limited(request.auth, WebhookEndpoint)  # events of all charge points would be sent there

    def endpoint(self) -> WebhookEndpoint:
        """The endpoint of the path, or 404: another organization's is exactly like one that does not exist."""
        found = self.get_queryset().filter(pk=self.kwargs["endpoint_id"]).first()
        if found is None:
            raise NotFound("There is no such endpoint in your organization.")
        return found

    def read(self, serializer: type[Serializer[Any]], data: Any, **options: Any) -> dict[str, Any]:
        """What was asked, or ValidationError."""
        asked = serializer(data=data, **options)
        asked.is_valid(raise_exception=True)
        return asked.validated_data


def with_secret(endpoint: WebhookEndpoint, secret: str) -> dict[str, Any]:
    return {**EndpointSerializer(endpoint).data, "secret": secret}


class EndpointsView(WebhookView):
    """The endpoints of the organization, the oldest first; for a test key, its test endpoints."""

    http_method_names = ["get", "head", "post"]
    query_serializer_class = PageQuery

    @extend_schema(
        operation_id="webhook_endpoints",
        summary="List webhook endpoints",
        tags=TAGS,
        parameters=[PageQuery],
        responses=EndpointsSerializer,
        examples=[examples.ENDPOINTS],
    )
    def get(self, request: Request) -> Response:
        rows = self.get_queryset().order_by("created_at", "pk")
        return Response(EndpointsSerializer(page_of("endpoints", rows, self.asked())).data)

    @extend_schema(
        operation_id="create_webhook_endpoint",
        summary="Create a webhook endpoint",
        description="The answer holds the secret that signs what is sent. It is told this once. That of a test key is "
        "told of simulated charge points only.",
        tags=TAGS,
        request=NewEndpointSerializer,
        responses={201: EndpointWithSecretSerializer},
        examples=[examples.NEW_ENDPOINT, examples.ENDPOINT_WITH_SECRET],
    )
    def post(self, request: Request) -> Response:
        values = self.read(NewEndpointSerializer, request.data)
        try:
            api_key = self.request.auth
            endpoint, secret = WebhookEndpoint.objects.register(api_key.organization, **values, is_test=api_key.is_test)
        except TooManyEndpoints as error:
            raise ValidationError({"url": [str(error)]}) from None
        headers = {"Location": reverse("webhook_endpoint", args=[endpoint.pk])}
        return Response(with_secret(endpoint, secret), status=201, headers=headers)


class EndpointView(WebhookView):
    """One endpoint."""

    http_method_names = ["get", "head", "patch", "delete"]

    @extend_schema(
        operation_id="webhook_endpoint",
        summary="Get a webhook endpoint",
        tags=TAGS,
        responses=EndpointSerializer,
        examples=[examples.ENDPOINT],
    )
    def get(self, request: Request, endpoint_id: Any) -> Response:
        return Response(EndpointSerializer(self.endpoint()).data)

    @extend_schema(
        operation_id="update_webhook_endpoint",
        summary="Change a webhook endpoint",
        description="Changes what is given. Deliveries that are pending go to the new URL.",
        tags=TAGS,
        request=EndpointBodySerializer(partial=True),
        responses=EndpointSerializer,
        examples=[examples.CHANGES, examples.ENDPOINT],
    )
    def patch(self, request: Request, endpoint_id: Any) -> Response:
        endpoint = self.endpoint()
        endpoint.change(**self.read(EndpointBodySerializer, request.data, partial=True))
        return Response(EndpointSerializer(endpoint).data)

    @extend_schema(
        operation_id="delete_webhook_endpoint",
        summary="Delete a webhook endpoint",
        description="With everything that was or is to be delivered to it.",
        tags=TAGS,
        responses={204: None},
    )
    def delete(self, request: Request, endpoint_id: Any) -> Response:
        self.endpoint().delete()
        return Response(status=204)
