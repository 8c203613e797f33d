"""Events to the sockets of this process, and to who waits for them, over one channel of the layer for all."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

from channels.layers import get_channel_layer

from . import metrics

logger = logging.getLogger(__name__)

RETRY_SECONDS = 1
Take = Callable[[dict[str, Any]], None]


class Exchange:
    """Hands each event to who opened its address, on the event loop that this belongs to.

    A channel for each socket would cost each a task and a queue, and Redis a subscription.
    """

    _loops: WeakKeyDictionary[asyncio.AbstractEventLoop, Exchange] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._opening = asyncio.Lock()
        self._channel = ""
        self._numbers = itertools.count(1)
        self._takers: dict[str, Take] = {}

    @classmethod
    def of_this_loop(cls) -> Exchange:
        return cls._loops.setdefault(asyncio.get_running_loop(), cls())

    async def open(self, take: Take) -> str:
        """An address whose events `take` is called with, until it is closed."""
        async with self._opening:
            if not self._channel:
                self._channel = await get_channel_layer().new_channel("ocpp16.")
                # It outlives whoever happens to be first, and must not log in its name.
                self._listening = asyncio.create_task(self._listen(), context=Context())
        address = f"{self._channel}/{next(self._numbers)}"
        self._takers[address] = take
        return address

    @property
    def channels(self) -> str:
        """What all addresses of this loop begin with."""
        return f"{self._channel}/"

    def deliver(self, address: str, event: dict[str, str]) -> bool:
        """Hand over, in the next turn of the loop, what is for an address of this loop; False for any other."""
        is_here = bool(self._channel) and address.startswith(self.channels)
        if is_here:
            asyncio.get_running_loop().call_soon(self._take, {**event, "to": address}, context=Context())
        return is_here

    def _take(self, event: dict[str, Any]) -> None:
        take = self._takers.get(event["to"])
        if take is not None:
            take(event)

    def close(self, address: str) -> None:
        self._takers.pop(address, None)

    async def _listen(self) -> None:
        """Take events through every failure of the layer."""
        while True:
            try:
                event = await get_channel_layer().receive(self._channel)
            except Exception as error:
                metrics.layer_failures.labels("receive").inc()
                logger.warning("The channel layer is not there: %r", error)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._take(event)


async def send(address: str, event: dict[str, str]) -> None:
    """Send an event to an address in any process; one of this needs no layer."""
    if Exchange.of_this_loop().deliver(address, event):
        return
    await get_channel_layer().send(address.partition("/")[0], {**event, "to": address})
