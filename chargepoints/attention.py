"""How often the worker looks for what it has to do: often while something happens, seldom while nothing does."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Hashable
from contextlib import suppress
from time import monotonic

from channels.layers import get_channel_layer

logger = logging.getLogger(__name__)

# So long after something has happened, nothing that waits is missed at any look.
ATTENTIVE_SECONDS = 10
# How long it may wait otherwise: for a retry that has become due, or where nobody could say that something happened.
QUIET_SECONDS = 5
# While things happen, other processes are told so often: their attention must last until the next time.
TELL_SECONDS = 5
RETRY_SECONDS = 1
GROUP = "attention"


class Attention:
    """That of one process. What its sockets and requests do draws it, and over the channel layer that of the others."""

    def __init__(self) -> None:
        self._until = self._told_at = -math.inf
        self._looked: dict[Hashable, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def hold(self) -> None:
        """Have this process look often for a while."""
        self._until = monotonic() + ATTENTIVE_SECONDS

    def draw(self) -> None:
        """Have this process and the worker do so; from any thread, and before the commit or after it."""
        self.hold()
        now, loop = monotonic(), self._loop
        if loop is not None and now - self._told_at >= TELL_SECONDS:
            self._told_at = now
            with suppress(RuntimeError):  # the process ends: what it has stored is found without it
                loop.call_soon_threadsafe(self._drawn.set)

    def is_due(self, look: Hashable) -> bool:
        """Whether it is time for this look, at which it is taken to be done."""
        now = monotonic()
        turn = now // QUIET_SECONDS
        is_due = now < self._until or self._looked.get(look) != turn
        self._looked[look] = turn
        return is_due

    async def tell(self) -> None:
        """Tell the other processes when this one's attention is drawn, until cancelled."""
        self._loop, self._drawn = asyncio.get_running_loop(), asyncio.Event()
        try:
            while True:
                await self._drawn.wait()
                self._drawn.clear()
                try:
                    await get_channel_layer().group_send(GROUP, {"type": "attention.drawn"})
                except Exception as error:
                    self._told_at = -math.inf
                    logger.warning("No worker hears that something happened: %r", error)
        finally:
            self._loop = None

    async def heed(self) -> None:
        """Have it drawn by what happens in other processes, until cancelled."""
        self.hold()  # there may be something from before
        layer = get_channel_layer()
        while True:
            try:
                channel = await layer.new_channel("attention.")
                await layer.group_add(GROUP, channel)
                while await layer.receive(channel):
                    self.hold()
            except Exception as error:
                logger.warning("Nobody can say that something happened: %r", error)
                await asyncio.sleep(RETRY_SECONDS)


attention = Attention()
