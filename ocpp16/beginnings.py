"""How commands of the API begin: many requests are checked and logged by a few statements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import DataError, IntegrityError
from rest_framework.exceptions import NotFound

from apikeys.authentication import find_keys
from apikeys.permissions import permit_command
from apikeys.querysets import reaches
from chargepoints.models import ChargePoint
from chargepoints.views import NO_CHARGE_POINT

from .dispatch import Pending, address
from .models import Command
from .options import USUAL, Options

if TYPE_CHECKING:
    from .views import CommandView


@dataclass(eq=False)
class Beginning:
    """A request for a command, from its arrival to its row, or to what is wrong with it."""

    view: CommandView
    options: Options = USUAL
    serializer: Any = None
    command: Command | None = None
    pending: Pending | None = None
    failure: Exception | None = None

    @property
    def identity(self) -> str:
        return self.serializer.validated_data["charge_point_id"]

    def result(self) -> Pending | None:
        """The logged command for its socket, None where it waits for one; raises what is wrong."""
        if self.failure is not None:
            raise self.failure
        return self.pending

    def check(self) -> None:
        """All that can be said before the charge point is known: key, scope, method, body."""
        view = self.view
        view.admit(view.request)
        self.options = Options.of(view.request)
        self.serializer = view.get_serializer(data=view.request.data)
        self.serializer.is_valid(raise_exception=True)
        action = view.endpoint.action_for(self.serializer)
        if view.endpoint.is_raw:  # of the others the view knew it before it had read the body
            permit_command(view.request.auth, action)
        self.options.check(action, self.serializer.ocpp_payload())

    def write(self, charge_point: ChargePoint | None) -> None:
        """Make the command's row, which says who it was."""
        view, request = self.view, self.view.request
        if charge_point is None or not reaches(request.auth, charge_point):
            raise NotFound(NO_CHARGE_POINT)
        view.check_charge_point(charge_point)
        self.command = Command(
            charge_point=charge_point,
            action=view.endpoint.action_for(self.serializer),
            payload=self.serializer.ocpp_payload(),
            api_key=request.auth,
            expires_at=self.options.expires_at,
            request_id=getattr(request, "request_id", ""),
        )

    def address(self) -> None:
        assert self.command is not None
        self.pending = address(self.command, self.options.window)


def begin_all(beginnings: list[Beginning]) -> None:
    """Check these requests, log their commands and find their sockets; notes on each what is wrong with it."""
    find_keys(each.view.request._request for each in beginnings)
    for each in beginnings:
        attempt(each, each.check)
    find_charge_points(going_on(beginnings))
    log(going_on(beginnings))
    for each in going_on(beginnings):
        attempt(each, each.address)


def going_on(beginnings: list[Beginning]) -> list[Beginning]:
    return [each for each in beginnings if each.failure is None]


def attempt(beginning: Beginning, step: Any, *args: Any) -> None:
    try:
        step(*args)
    except Exception as failure:  # its own, and no other's: the view raises it
        beginning.failure = failure


def find_charge_points(beginnings: list[Beginning]) -> None:
    """Look up the charge points; one that its key does not reach is like one that does not exist."""
    found = ChargePoint.objects.named_to_command({each.identity for each in beginnings}) if beginnings else {}
    for each in beginnings:
        attempt(each, each.write, found.get(each.identity))


def log(beginnings: list[Beginning]) -> None:
    """Store the rows, each for itself where one cannot be: its charge point may just have been deleted."""
    try:
        Command.objects.log([each.command for each in beginnings if each.command is not None])
    except (DataError, IntegrityError) as failure:
        if len(beginnings) == 1:
            beginnings[0].failure = failure
            return
        for each in beginnings:
            log([each])
