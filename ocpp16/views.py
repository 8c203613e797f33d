from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from apikeys.scopes import WRITE_CHARGE_POINTS
from chargepoints.models import ChargePoint
from chargepoints.views import OfOrganization

from . import refusals
from .commands import Endpoint
from .schema import CommandSchema
from .serializers import CommandSerializer


class CommandViewSet(OfOrganization, GenericViewSet[ChargePoint]):
    """All commands: checks the request, sends the CALL, waits for its end and tells it.

    `endpoint` is the row of COMMANDS that makes the difference.
    """

    http_method_names = ["post"]
    required_scope = WRITE_CHARGE_POINTS
    queryset = ChargePoint.objects.all()
    schema = CommandSchema()
    endpoint: Endpoint | None = None

    def get_serializer_class(self) -> type[CommandSerializer]:
        assert self.endpoint is not None
        return self.endpoint.serializer

    def send(self, request: Request) -> Response:
        endpoint = self.endpoint
        assert endpoint is not None
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        command = refusals.send(
            endpoint,
            self.get_charge_point(serializer.validated_data["charge_point_id"]),
            endpoint.action_for(serializer),
            serializer.ocpp_payload(),
            **self.sender(),
        )
        return Response(endpoint.body(serializer, command), headers={"X-Command-Id": str(command.pk)})

    def sender(self) -> dict[str, Any]:
        """Who the command log says it was."""
        return {"api_key": self.request.auth, "request_id": getattr(self.request, "request_id", "")}
