"""The ends of a command that are no success, as exceptions that carry their part of the error envelope."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rest_framework.exceptions import APIException

from . import dispatch
from .commands import call_error
from .models import Command

UNSUPPORTED = ("NotImplemented", "NotSupported")


class CommandRefusal(APIException):
    """Names the command's row in X-Command-Id, so that a refusal can be found in the command log."""

    status_code = 422
    code = "ocpp_rejected"

    def __init__(self, message: str, command: Command | None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details or {}
        self.headers = {"X-Command-Id": str(command.pk)} if command else {}


class Offline(CommandRefusal):
    code = "charge_point_offline"


class Limited(CommandRefusal):
    status_code, code = 429, "rate_limited"

    def __init__(self, message: str, command: Command | None, retry_after: int) -> None:
        super().__init__(message, command)
        self.headers["Retry-After"] = str(retry_after)


class TimedOut(CommandRefusal):
    status_code, code = 408, "timeout"


class Unavailable(CommandRefusal):
    status_code, code = 503, "service_unavailable"


class NotSimulated(APIException):
    """409: what is real obeys people and vehicles."""

    status_code, code = 409, "not_simulated"


@contextmanager
def translated() -> Iterator[None]:
    """Raises what did not reach the wire as a CommandRefusal."""
    try:
        yield
    except dispatch.ChargePointOffline as error:
        raise Offline(str(error), error.command) from None
    except dispatch.RateLimited as error:
        raise Limited(str(error), error.command, error.retry_after) from None
    except dispatch.ServiceUnavailable as error:
        raise Unavailable(str(error), error.command) from None


def find_refusal(command: Command, is_raw: bool) -> CommandRefusal | None:
    """What is wrong with an ended command, or None; a raw passage takes the charge point's no for an answer."""
    if command.state == Command.State.ACCEPTED:
        return None
    if command.state == Command.State.LOST:
        return Offline("The charge point disconnected before it answered.", command)
    if command.state == Command.State.CALL_ERROR:
        return None if is_raw and command.error_code in UNSUPPORTED else errored(command)
    if command.state != Command.State.REJECTED:
        return TimedOut("The charge point did not answer in time.", command)
    return None if is_raw and command.status == "Rejected" else rejected(command)


def errored(command: Command) -> CommandRefusal:
    message = f"The charge point answered {command.action} with the error {command.error_code}."
    return CommandRefusal(message, command, call_error(command))


def rejected(command: Command) -> CommandRefusal:
    said = "rejected" if command.status == "Rejected" else "gave an unreadable answer to"
    details = {"status": command.status, "response": command.response}
    return CommandRefusal(f"The charge point {said} {command.action}.", command, details)
