from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from django.urls import reverse
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.permissions import permit_command
from apikeys.scopes import WRITE_CHARGE_POINTS
from chargepoints.models import ChargePoint
from chargepoints.views import OfOrganization, WaitingView, in_thread_of_caller

from . import refusals
from .beginnings import Beginning, begin_all
from .commands import Endpoint
from .dispatch import NOT_SENT, Pending, conclude, hand_over
from .models import Command
from .models.command_queryset import UNFINISHED
from .options import Options
from .resources import as_resource
from .schema import CommandSchema
from .serializers import CommandSerializer


async def alone(beginning: Beginning) -> None:
    await in_thread_of_caller(begin_all, [beginning])


class CommandView(OfOrganization, WaitingView, GenericAPIView[ChargePoint]):
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

    async def post(self, request: Request) -> Response:
        """Two pieces of work, between which the command holds no thread."""
        beginning = Beginning(self)
        await getattr(request._request, "begin_command", alone)(beginning)
        with refusals.translated():
            pending = beginning.result()
        assert beginning.command is not None
        if pending is None:
            return await self.promise(beginning.command, beginning.options)
        if not beginning.options.is_async:
            return await self.tell(beginning, await self.finish(pending))
        finishing = begin_task(self.finish(pending))
        await asyncio.wait([finishing], timeout=beginning.options.seconds or 0)
        if not finishing.done():
            return await self.promise(beginning.command, beginning.options)
        return await self.tell(beginning, finishing.result())

    async def finish(self, pending: Pending) -> Command:
        """See the command to its end; raises what did not reach the wire."""
        with refusals.translated():
            end = await hand_over(pending)
            self.request._request.has_sent = end.state not in NOT_SENT  # type: ignore[attr-defined]
            # What its socket has told needs no database.
            if end.told:
                return conclude(pending.command, end)
            return await self.in_thread(conclude, pending.command, end)

    def admit(self, request: Request) -> None:
        super().admit(request)
        if self.endpoint.action:
            permit_command(self.request.auth, self.endpoint.action)

    def check_charge_point(self, charge_point: ChargePoint) -> None:
        """Raise where the command is not for this charge point."""

    async def tell(self, beginning: Beginning, command: Command) -> Response:
        """What became of the command."""
        if command.state in UNFINISHED:
            return await self.promise(command, beginning.options)
        refusal = refusals.find_refusal(command, self.endpoint.is_raw)
        if refusal is not None:
            raise refusal
        return Response(self.endpoint.body(beginning.serializer, command), headers=headers(command, beginning.options))

    async def promise(self, command: Command, options: Options) -> Response:
        """202: the command as it is now, and where to look what becomes of it."""
        path = reverse("command", args=[command.pk])
        body = await self.in_thread(as_resource, command.pk)
        return Response(body, status=202, headers={**headers(command, options), "Location": path})


def headers(command: Command, options: Options) -> dict[str, str]:
    applied = {"Preference-Applied": options.applied} if options.applied else {}
    return {"X-Command-Id": str(command.pk), **applied}


_tasks: set[asyncio.Task[Any]] = set()


def begin_task(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Begin what goes on when nobody waits for it any more."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(ended)
    return task


def ended(task: asyncio.Task[Any]) -> None:
    _tasks.discard(task)
    if not task.cancelled():
        task.exception()  # a refusal, which the row tells, too
