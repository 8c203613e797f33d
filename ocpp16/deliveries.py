"""Hands commands that were kept for their charge points to the sockets of this process."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from contextvars import Context

from django.db import Error

from chargepoints.attention import attention
from chargepoints.database import in_database, upkeep_thread
from chargepoints.looks import is_any
from chargepoints.tasks import tick

from .exchange import Exchange
from .models import Command

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2
AT_ONCE = 500

Deliver = Callable[[uuid.UUID], None]


class Deliveries:
    """Looks again and again whether something waits for who is online here.

    Whoever comes online is not asked about one by one: that would cost every handshake a statement, for commands that
    are rare. What a socket has no room for yet is found again.
    """

    def __init__(self) -> None:
        self._sockets: dict[str, Deliver] = {}
        self._tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    def hold(self, channel_name: str, deliver: Deliver) -> None:
        """Call `deliver` with each command that was kept for the charge point that this socket owns."""
        self._sockets[channel_name] = deliver
        attention.draw()  # something may wait for whoever it is
        loop = asyncio.get_running_loop()
        if loop not in self._tasks or self._tasks[loop].done():
            self._tasks[loop] = loop.create_task(self._run(), context=Context())

    def release(self, channel_name: str) -> None:
        self._sockets.pop(channel_name, None)

    async def _run(self) -> None:
        while True:
            await tick(LOOK_SECONDS)
            try:
                if not await is_any(Command.objects.kept):
                    continue
                waiting = await in_database(find, Exchange.of_this_loop().channels, threads=upkeep_thread)
            except Error as error:
                logger.warning("Nobody knows which commands wait for their charge points: %s", error)
                continue
            for command_id, channel_name in waiting:
                if channel_name in self._sockets:
                    self._sockets[channel_name](command_id)


def find(channels: str) -> list[tuple[uuid.UUID, str]]:
    """What was kept for charge points whose sockets have such channels, and the channel of each."""
    return list(Command.objects.deliverable(channels).values_list("pk", "charge_point__channel_name")[:AT_ONCE])


deliveries = Deliveries()
