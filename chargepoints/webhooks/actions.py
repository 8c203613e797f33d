"""What can be done to a webhook endpoint by the API, besides changing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from ..models import WebhookEndpoint
from . import examples
from .serializers import DeliverySerializer, EndpointSerializer, EndpointWithSecretSerializer
from .views import TAGS, WebhookView, with_secret


class Action(NamedTuple):
    """A row of ACTIONS: what is done to an endpoint; `do` returns what is told of that."""

    operation_id: str
    summary: str
    description: str
    do: Callable[[WebhookEndpoint], dict[str, Any]]
    serializer: type[Serializer[Any]]
    example: OpenApiExample


def pause(endpoint: WebhookEndpoint) -> dict[str, Any]:
    endpoint.pause()
    return EndpointSerializer(endpoint).data


def resume(endpoint: WebhookEndpoint) -> dict[str, Any]:
    endpoint.resume()
    return EndpointSerializer(endpoint).data


def rotate_secret(endpoint: WebhookEndpoint) -> dict[str, Any]:
    secret = endpoint.rotate_secret()
    return with_secret(endpoint, secret)


def send_test(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return DeliverySerializer(endpoint.send_test()).data


ACTIONS = {
    "pause": Action(
        "pause_webhook_endpoint",
        "Pause a webhook endpoint",
        "What happens meanwhile is held back, and delivered when the endpoint is resumed.",
        pause,
        EndpointSerializer,
        examples.PAUSED,
    ),
    "resume": Action(
        "resume_webhook_endpoint",
        "Resume a webhook endpoint",
        "Delivers what was held back, the oldest first.",
        resume,
        EndpointSerializer,
        examples.ENDPOINT,
    ),
    "rotate_secret": Action(
        "rotate_webhook_secret",
        "Replace the secret of a webhook endpoint",
        "For 24 hours `webhook-signature` has a signature by each of the two; `X-Dynamo-Signature` is by the new one.",
        rotate_secret,
        EndpointWithSecretSerializer,
        examples.ENDPOINT_WITH_SECRET,
    ),
    "test": Action(
        "test_webhook_endpoint",
        "Send a test to a webhook endpoint",
        "Delivers an event `webhook.test`, with one attempt. The delivery tells what was answered.",
        send_test,
        DeliverySerializer,
        examples.TEST,
    ),
}


class ActionSchema(AutoSchema):
    """Describes an operation by its row of ACTIONS."""

    view: Any

    def get_operation_id(self) -> str:
        return self.view.action.operation_id

    def get_tags(self) -> list[str]:
        return TAGS

    def get_summary(self) -> str:
        return self.view.action.summary

    def get_description(self) -> str:  # type: ignore[override]
        return self.view.action.description

    def get_request_serializer(self) -> Any:
        return None

    def get_response_serializers(self) -> Any:
        return {200: self.view.action.serializer}

    def get_examples(self) -> list[OpenApiExample]:
        return [self.view.action.example]


class EndpointActionView(WebhookView):
    """Does what the row of ACTIONS says."""

    http_method_names = ["post"]
    schema = ActionSchema()
    action: Action = None  # type: ignore[assignment]

    def post(self, request: Request, endpoint_id: Any) -> Response:
        return Response(self.action.do(self.endpoint()))
