"""From a caller to the charge point's socket, on whichever worker it is, and back."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import Error, connection

from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import RegistrationStatus

from . import exchange, metrics
from .exchange import Exchange
from .models import Command
from .models.command_queryset import NEEDS_REGISTRATION
from .sender import in_commands_thread

logger = logging.getLogger(__name__)

# A live socket acknowledges within milliseconds; one that does not is on a worker that died or hangs.
ACKNOWLEDGE_SECONDS = 3
LOOK_SECONDS = 0.5
LAYER_SECONDS = 3
UNAVAILABLE = "Commands cannot be delivered at the moment."
SILENT = "The connection to the charge point does not react."


# The endings of commands that never reached the wire.
NOT_SENT = ("limited", "silent", "unavailable")


class NotSent(Exception):
    """The command did not reach the wire; its row tells so."""

    def __init__(self, message: str, command: Command | None = None) -> None:
        super().__init__(message)
        self.command = command


class ChargePointOffline(NotSent):
    pass


class RateLimited(NotSent):
    retry_after = 1


class ServiceUnavailable(NotSent):
    pass


class Ending(NamedTuple):
    """How waiting for a command ended: `ended`, `limited`, `silent`, `timeout` or `unavailable`.

    `told` is what `Command.learn` understands; where it is empty, the row knows.
    """

    state: str
    told: str = ""


class Pending(NamedTuple):
    """A command that has its row, and the address of the socket that is to send it."""

    command: Command
    channel_name: str
    seconds: float  # that it may take


def send(charge_point: ChargePoint, action: str, payload: dict[str, Any], **sender: Any) -> Command:
    """Send a CALL and wait for its end, in this thread; raises and returns what `begin` and `conclude` do."""
    pending = begin(ChargePoint.objects.to_command().get(pk=charge_point.pk), action, payload, **sender)
    if not connection.in_atomic_block:
        connection.close()  # a waiting request must not hold one of the pool's connections
    return conclude(pending.command, async_to_sync(hand_over)(pending))


def begin(charge_point: ChargePoint, action: str, payload: dict[str, Any], **sender: Any) -> Pending:
    """Log a command for a charge point; raises ChargePointOffline where there is nobody to take it.

    `sender`: the api_key or user, and the request_id.
    """
    command = Command(charge_point=charge_point, action=action, payload=payload, **sender)
    Command.objects.log([command])
    pending = address(command)
    assert pending is not None  # nothing that is begun here is kept
    return pending


def address(command: Command, seconds: float | None = None) -> Pending | None:
    """Find who is to take a logged command; raises ChargePointOffline where there is nobody.

    None where it was to wait for its charge point, and does.
    """
    charge_point = command.charge_point
    if command.action in NEEDS_REGISTRATION and charge_point.registration_status != RegistrationStatus.ACCEPTED:
        status = charge_point.registration_status
        raise _not_sent(ChargePointOffline(f"The registration of the charge point is {status}.", command))
    if charge_point.socket:
        return Pending(command, charge_point.socket, settings.DYNAMO_COMMAND_TIMEOUT if seconds is None else seconds)
    if command.expires_at is not None:
        return None
    raise _not_sent(ChargePointOffline("The charge point is not connected.", command))


def _not_sent(error: NotSent, state: str = Command.State.LOST) -> NotSent:
    assert error.command is not None
    error.command.end(state, error_description=str(error))
    return error


def conclude(command: Command, end: Ending) -> Command:
    """The row of a command that was handed over and has come to this end; one that is kept may not have ended.

    Raises ChargePointOffline, RateLimited or ServiceUnavailable where nothing was sent; the row is kept.
    """
    state = end.state
    if end.told:
        command.learn(end.told)
        return command
    if command.expires_at is not None:
        command.refresh_from_db()
        if command.is_kept:
            return command
    if state == "limited":
        message = "More than 10 commands in one second, or waiting, for this charge point."
        raise _not_sent(RateLimited(message, command), Command.State.RATE_LIMITED)
    if state == "unavailable" and command.give_up(UNAVAILABLE):
        raise ServiceUnavailable(UNAVAILABLE, command)
    if state == "silent":
        raise ChargePointOffline(SILENT, command)
    command.refresh_from_db()
    # It may be on the wire: a late answer still completes it, with its effect.
    if command.ended_at is None and not command.end(Command.State.TIMED_OUT):
        command.refresh_from_db()
    return command


async def hand_over(pending: Pending) -> Ending:
    """Give the command to its socket and wait for its end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + pending.seconds
    states: asyncio.Queue[Ending] = asyncio.Queue()
    replies, reply_channel = Exchange.of_this_loop(), ""
    try:
        async with asyncio.timeout(LAYER_SECONDS):
            reply_channel = await replies.open(
                lambda event: states.put_nowait(Ending(event["state"], event.get("told", "")))
            )
            event = {"type": "command.send", "command": str(pending.command.pk), "reply_channel": reply_channel}
            await exchange.send(pending.channel_name, {**event, "seconds": str(pending.seconds)})
    except Exception as error:
        metrics.layer_failures.labels("command").inc()
        logger.warning("The channel layer is not there: %r", error)
        replies.close(reply_channel)
        return Ending("unavailable")
    try:
        end = await _acknowledged(states, pending, min(deadline, loop.time() + ACKNOWLEDGE_SECONDS))
        may_give_up = end.state == "silent" and not pending.command.is_kept
        if may_give_up and not await in_commands_thread(pending.command.give_up, SILENT):
            end = Ending("queued")  # its socket took it at the last moment
        return await _next(states, deadline) or Ending("timeout") if end.state == "queued" else end
    finally:
        replies.close(reply_channel)


async def _acknowledged(states: asyncio.Queue[Ending], pending: Pending, deadline: float) -> Ending:
    """The first word of the socket, or what the database says of it; `silent` where neither says anything."""
    loop = asyncio.get_running_loop()
    seconds = LOOK_SECONDS
    while loop.time() < deadline:
        if end := await _next(states, min(deadline, loop.time() + seconds)):
            return end
        with suppress(Error):
            if state := await in_commands_thread(_look, pending.command.pk, pending.channel_name):
                return Ending(state)
        seconds *= 2
    return Ending("silent")


def _look(command_id: uuid.UUID, channel_name: str) -> str:
    """How far the command has come whose word may be lost; `silent` where its socket is gone, else nothing."""
    rows = Command.objects.filter(pk=command_id).values_list("state", "charge_point__channel_name")
    state, registered = rows.get()
    if state == Command.State.QUEUED:
        return "" if registered == channel_name else "silent"
    return "queued" if state == Command.State.SENT else "ended"


async def _next(states: asyncio.Queue[Ending], deadline: float) -> Ending | None:
    """The next word of the socket, None where none comes in time."""
    try:
        async with asyncio.timeout_at(deadline):
            return await states.get()
    except TimeoutError:
        return None
