"""Carries out bulk commands, beside the sockets: in whatever process works, and on if that dies."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.db import Error

from chargepoints.database import in_database
from chargepoints.looks import is_any
from chargepoints.tasks import cancel_all, keep_looking

from .dispatch import NotSent, address, conclude, hand_over
from .models import BulkCommand, BulkTarget, Command
from .models.bulk import LEASE, settle

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1
AT_ONCE = 20
THREADS = ThreadPoolExecutor(2, thread_name_prefix="database-bulk")
in_bulk_thread = partial(in_database, threads=THREADS)


async def run() -> None:
    """Carry out whatever is ordered, until cancelled."""
    running: set[asyncio.Task[None]] = set()

    async def look() -> None:
        if not await is_any(BulkCommand.objects.free):
            return
        for bulk in await in_bulk_thread(BulkCommand.objects.claim, AT_ONCE - len(running)):
            running.add(task := asyncio.create_task(Errand(bulk).run()))
            task.add_done_callback(running.discard)

    try:
        await keep_looking(look, LOOK_SECONDS, logger, "bulk commands wait")
    finally:
        await cancel_all(running)


class Errand:
    """One bulk command, from wherever it stands to its end."""

    def __init__(self, bulk: BulkCommand) -> None:
        self.bulk = bulk
        self.sending: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        keeping = asyncio.create_task(self.keep())
        try:
            await self.carry_out()
        except Error as error:
            logger.warning("Bulk command %s: %s", self.bulk.pk, error)  # it is claimed again when its lease is over
        except Exception:
            logger.exception("Bulk command %s", self.bulk.pk)
        finally:
            keeping.cancel()
            for task in self.sending:
                task.cancel()

    async def keep(self) -> None:
        """Renew the lease; where that fails for too long, another process goes on."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 4)
            try:
                await in_bulk_thread(self.bulk.renew)
            except Error as error:
                logger.warning("Bulk command %s: %s", self.bulk.pk, error)

    async def carry_out(self) -> None:
        """Send to as many at a time as it says, until none is left or it is stopped; wait for those on their way."""
        await in_bulk_thread(self.take_over)
        while (begun := await in_bulk_thread(self.begin_next)) is not None:
            for target, command in begun:
                self.count("pending", "begun")
                self.sending.add(asyncio.create_task(self.send(target, command)))
            await self.some_end()
        while self.sending:
            await self.some_end()
        # What another process had begun, which died.
        while await in_bulk_thread(settle, self.bulk):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
        await in_bulk_thread(self.bulk.end)

    def take_over(self) -> None:
        """See where it stands: a process that died may have begun it."""
        settle(self.bulk)
        self.counts = Counter(self.bulk.counts())

    async def some_end(self) -> None:
        """Wait until one has ended; where all that is on its way was sent by a process that died, look at it later."""
        if not self.sending:
            await asyncio.sleep(LOOK_SECONDS)
            await in_bulk_thread(self.take_over)
            return
        done, self.sending = await asyncio.wait(self.sending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def begin_next(self) -> list[tuple[BulkTarget, Command]] | None:
        """Log the next commands, perhaps none yet; None where it has been stopped, or all have had their turn."""
        bulk = self.bulk
        bulk.refresh_from_db(fields=["state"])
        if bulk.state != BulkCommand.State.RUNNING:
            return None
        if reason := bulk.verdict(self.counts):
            bulk.stop(reason)
            return None
        if not self.counts["pending"]:
            return None
        ended = self.counts.total() - self.counts["pending"] - self.counts["begun"]
        positions = bulk.canary if ended < bulk.canary else bulk.total
        return bulk.begin(positions, bulk.at_once - len(self.sending))

    def count(self, before: str, after: str) -> None:
        self.counts[before] -= 1
        self.counts[after] += 1

    async def send(self, target: BulkTarget, command: Command) -> None:
        state = await self.ended(command)
        await in_bulk_thread(target.end, state)
        self.count("begun", state)

    async def ended(self, command: Command) -> str:
        """The state in which the command ended."""
        try:
            pending: Any = await in_bulk_thread(address, command)
            end = await hand_over(pending)
            conclusion: Callable[[], Command] = partial(conclude, command, end)
            return (conclusion() if end.told else await in_bulk_thread(conclusion)).state
        except NotSent:
            return command.state
