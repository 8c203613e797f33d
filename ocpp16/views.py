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
from .beginnings import Beginning, begin_all
from .commands import Endpoint
from .dispatch import conclude, hand_over
from .models import Command
from .schema import CommandSchema
from .serializers import CommandSerializer


async def in_thread_of_caller(function: Callable[..., Any], *args: Any) -> Any:
    return await sync_to_async(function)(*args)


async def alone(beginning: Beginning) -> None:
    await in_thread_of_caller(begin_all, [beginning])


class CommandView(OfOrganization, GenericAPIView[ChargePoint]):
    """All commands: checks the request, sends the CALL, waits for its end and tells it.

    `endpoint` is the row of COMMANDS that makes the difference.
    """

    http_method_names = ["post"]
    required_scope = WRITE_CHARGE_POINTS
    queryset = ChargePoint.objects.to_command()
    schema = CommandSchema()
    endpoint: Endpoint = None  # type: ignore[assignment]

    def get_serializer_class(self) -> type[CommandSerializer]:
        return self.endpoint.serializer

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """APIView's, on an event loop; the server says which thread the work is done in."""
        self.in_thread = getattr(request, "in_thread", in_thread_of_caller)
        self.begin = getattr(request, "begin_command", alone)
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
        beginning = Beginning(self)
        await self.begin(beginning)
        with refusals.translated():
            pending = beginning.result()
            end = await hand_over(pending)
            # What its socket has told needs no database.
            concluded = (
                conclude(pending.command, end) if end.told else await self.in_thread(conclude, pending.command, end)
            )
        return self.tell(beginning.serializer, concluded)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "POST":
            self.http_method_not_allowed(request)

    def tell(self, serializer: CommandSerializer, command: Command) -> Response:
        refusal = refusals.find_refusal(command, self.endpoint.is_raw)
        if refusal is not None:
            raise refusal
        return Response(self.endpoint.body(serializer, command), headers={"X-Command-Id": str(command.pk)})
