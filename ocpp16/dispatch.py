"""From a caller to the charge point's socket, on whichever worker it is, and back."""

from __future__ import annotations

import asyncio
import logging
import uuid
from contextlib import suppress
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import Error, connection

from apikeys.models import ApiKey
from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import RegistrationStatus

from . import exchange, metrics
from .models import Command
from .sender import in_commands_thread

logger = logging.getLogger(__name__)

# A live socket acknowledges within milliseconds; one that does not is on a worker that died or hangs.
ACKNOWLEDGE_SECONDS = 3
LOOK_SECONDS = 0.25
LAYER_SECONDS = 3
UNAVAILABLE = "Commands cannot be delivered at the moment."
SILENT = "The connection to the charge point does not react."
NEEDS_REGISTRATION = ("RemoteStartTransaction", "RemoteStopTransaction")


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


def send(
    charge_point: ChargePoint,
    action: str,
    payload: dict[str, Any],
    *,
    api_key: ApiKey | None = None,
    user: Any = None,
    request_id: str = "",
) -> Command:
    """Send a CALL and wait for its end; returns the ended row, whose `state` says how.

    Raises ChargePointOffline, RateLimited or ServiceUnavailable where nothing was sent; the row is kept.
    """
    command = Command.objects.create(
        charge_point=charge_point, action=action, payload=payload, api_key=api_key, user=user, request_id=request_id
    )
    if action in NEEDS_REGISTRATION and charge_point.registration_status != RegistrationStatus.ACCEPTED:
        status = charge_point.registration_status
        raise _not_sent(ChargePointOffline(f"The registration of the charge point is {status}.", command))
    online = ChargePoint.objects.online().filter(pk=charge_point.pk)
    channel_name = online.values_list("channel_name", flat=True).first()
    if channel_name is None:
        raise _not_sent(ChargePointOffline("The charge point is not connected.", command))
    if not connection.in_atomic_block:
        connection.close()  # a waiting request must not hold one of the pool's connections
    state = async_to_sync(_hand_over)(command.pk, channel_name)
    return _outcome(command, state)


def _not_sent(error: NotSent, state: str = Command.State.LOST) -> NotSent:
    assert error.command is not None
    error.command.end(state, error_description=str(error))
    return error


def _outcome(command: Command, state: str) -> Command:
    if state == "limited":
        message = "More than 10 commands in one second, or waiting, for this charge point."
        raise _not_sent(RateLimited(message, command), Command.State.RATE_LIMITED)
    if state == "unavailable" and command.give_up(UNAVAILABLE):
        raise ServiceUnavailable(UNAVAILABLE, command)
    if state == "silent" and command.give_up(SILENT):
        raise ChargePointOffline(SILENT, command)
    command.refresh_from_db()
    # It may be on the wire: a late answer still completes it, with its effect.
    if command.ended_at is None and not command.end(Command.State.TIMED_OUT):
        command.refresh_from_db()
    return command


async def _hand_over(command_id: uuid.UUID, channel_name: str) -> str:
    """Give the command to its socket and wait; `ended`, `limited`, `silent`, `timeout` or `unavailable`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + settings.DYNAMO_COMMAND_TIMEOUT
    replies = Replies.of_this_loop()
    states = replies.expect(str(command_id))
    try:
        event = {"type": "command.send", "command": str(command_id), "reply_channel": await replies.channel()}
        await asyncio.wait_for(exchange.send(channel_name, event), LAYER_SECONDS)
    except Exception as error:
        metrics.layer_failures.labels("command").inc()
        logger.warning("The channel layer is not there: %r", error)
        replies.forget(str(command_id))
        return "unavailable"
    try:
        state = await _acknowledged(states, command_id, channel_name, min(deadline, loop.time() + ACKNOWLEDGE_SECONDS))
        return await _state(states, deadline, "timeout") if state == "queued" else state
    finally:
        replies.forget(str(command_id))


async def _acknowledged(states: asyncio.Queue[str], command_id: uuid.UUID, channel_name: str, deadline: float) -> str:
    """The first word of the socket, or what the database says of it; `silent` where neither says anything."""
    loop = asyncio.get_running_loop()
    seconds = LOOK_SECONDS
    while loop.time() < deadline:
        state = await _state(states, min(deadline, loop.time() + seconds), "")
        with suppress(Error):
            state = state or await in_commands_thread(_look, command_id, channel_name)
        if state:
            return state
        seconds *= 2
    return "silent"


def _look(command_id: uuid.UUID, channel_name: str) -> str:
    """How far the command has come whose word may be lost; `silent` where its socket is gone, else nothing."""
    rows = Command.objects.filter(pk=command_id).values_list("state", "charge_point__channel_name")
    state, registered = rows.get()
    if state == Command.State.QUEUED:
        return "" if registered == channel_name else "silent"
    return "queued" if state == Command.State.SENT else "ended"


async def _state(states: asyncio.Queue[str], deadline: float, otherwise: str) -> str:
    try:
        async with asyncio.timeout_at(deadline):
            return await states.get()
    except TimeoutError:
        return otherwise


class Replies:
    """The reply channel of an event loop: one subscription for all its callers, who wait by command id."""

    _loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Replies] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Queue[str]] = {}
        self._name: asyncio.Future[str] | None = None

    @classmethod
    def of_this_loop(cls) -> Replies:
        return cls._loops.setdefault(asyncio.get_running_loop(), cls())

    def expect(self, command_id: str) -> asyncio.Queue[str]:
        """A queue that receives the states of this command."""
        return self._waiting.setdefault(command_id, asyncio.Queue())

    def forget(self, command_id: str) -> None:
        self._waiting.pop(command_id, None)

    async def channel(self) -> str:
        """The name of the channel, subscribed to at the first use."""
        if self._name is None or (self._name.done() and self._name.exception() is not None):
            self._name = asyncio.ensure_future(self._subscribe())
        return await asyncio.wait_for(asyncio.shield(self._name), LAYER_SECONDS)

    async def _subscribe(self) -> str:
        name: str = await get_channel_layer().new_channel("reply.")
        # It outlives the request that happens to be first, and must not log in its name.
        self._listening = asyncio.create_task(self._listen(name), context=Context())
        return name

    async def _listen(self, name: str) -> None:
        while True:
            try:
                event = await get_channel_layer().receive(name)
            except Exception as error:
                metrics.layer_failures.labels("receive").inc()
                logger.warning("The channel layer is not there: %r", error)
                await asyncio.sleep(1)
                continue
            if event["command"] in self._waiting:
                self._waiting[event["command"]].put_nowait(event["state"])
