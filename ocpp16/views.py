from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.scopes import WRITE_CHARGE_POINTS
from chargepoints.models import ChargePoint
from chargepoints.views import OfOrganization

from . import refusals
from .commands import Endpoint
from .dispatch import Pending, begin, conclude, hand_over
from .models import Command
from .schema import CommandSchema
from .serializers import CommandSerializer


async def in_thread_of_caller(function: Callable[..., Any], *args: Any) -> Any:
    return await sync_to_async(function)(*args)


class CommandView(OfOrganization, GenericAPIView[ChargePoint]):
    """All commands: checks the request, sends the CALL, waits for its end and tells it.

    `endpoint` is the row of COMMANDS that makes the difference.
    """

    http_method_names = ["post"]
    required_scope = WRITE_CHARGE_POINTS
    queryset = ChargePoint.objects.with_socket()
    schema = CommandSchema()
    endpoint: Endpoint = None  # type: ignore[assignment]

    def get_serializer_class(self) -> type[CommandSerializer]:
        return self.endpoint.serializer

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """APIView's, on an event loop; the server says which thread the work is done in."""
        self.in_thread = getattr(request, "in_thread", in_thread_of_caller)
        self.args, self.kwargs, self.headers = args, kwargs, self.default_response_headers
        self.request = self.initialize_request(request, *args, **kwargs)
        try:
            response = await self.post(self.request)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return self.response.render()

    async def post(self, request: Request) -> Response:
        """Two pieces of work, between which the command holds no thread."""
        with refusals.translated():
            serializer, pending = await self.in_thread(self.begin, request)
            state = await hand_over(pending)
            command = await self.in_thread(conclude, pending.command, state)
        return self.tell(serializer, command)

    def begin(self, request: Request) -> tuple[Any, Pending]:
        """All that a request is checked for, and the command's row."""
        self.initial(request)
        if request.method != "POST":
            self.http_method_not_allowed(request)
        serializer: Any = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        charge_point = self.get_charge_point(serializer.validated_data["charge_point_id"])
        # Who the command log says it was.
        sender: dict[str, Any] = {"api_key": request.auth, "request_id": getattr(request, "request_id", "")}
        action = self.endpoint.action_for(serializer)
        return serializer, begin(charge_point, action, serializer.ocpp_payload(), **sender)

    def tell(self, serializer: Any, command: Command) -> Response:
        refusal = refusals.find_refusal(command, self.endpoint.is_raw)
        if refusal is not None:
            raise refusal
        return Response(self.endpoint.body(serializer, command), headers={"X-Command-Id": str(command.pk)})
