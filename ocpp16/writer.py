"""Has the CALLs of all sockets handled together: a thread and a commit for what came meanwhile, not for each."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from chargepoints.database import in_database

from . import handlers
from .frames import Call
from .handlers import Asked, Outcome

BATCH = 64
# PostgreSQL's deadlock_detected, serialization_failure and lock_not_available: the others were in the way.
IN_THE_WAY = ("40P01", "40001", "55P03")


class Writer:
    """Answers each CALL after the commit of its batch.

    What cannot share a transaction with others, since its charge point is held elsewhere or it failed, has its own.
    """

    def __init__(self) -> None:
        # SQLite has one writer at a time; elsewhere one batch is read while the other is committed.
        self._free = 1 if connection.vendor == "sqlite" else 2
        self._threads = ThreadPoolExecutor(self._free, thread_name_prefix="database-writer")
        self._waiting: deque[tuple[Asked, asyncio.Future[None]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle(
        self, charge_point_id: int, call: Call, triggered: set[str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The payload of the CALLRESULT and the findings; raises InvalidPayload, or why nothing was stored."""
        asked, loop = Asked(charge_point_id, call, triggered), asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((asked, done))
        loop.call_soon(self._begin)  # with all that the same turn of the loop brings
        await done
        if asked.outcome is None:
            await in_database(handlers.handle, [asked])
        assert asked.outcome is not None
        if isinstance(asked.outcome, Exception):
            raise asked.outcome
        triggered.discard(call.action)
        return asked.outcome

    def _begin(self) -> None:
        if not self._free or not self._waiting:
            return
        self._free -= 1
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        task = asyncio.get_running_loop().create_task(self._handle(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, batch: list[tuple[Asked, asyncio.Future[None]]]) -> None:
        asked = [each for each, _ in batch]
        try:
            await in_database(handle_together, asked, threads=self._threads)
        finally:
            self._free += 1
            for _, done in batch:
                if not done.done():
                    done.set_result(None)
            self._begin()


def handle_together(asked: list[Asked]) -> None:
    """Handle a batch; without an outcome is left what must be handled alone."""
    try:
        handlers.handle(asked, patiently=False)
    except (OperationalError, InterfaceError) as error:
        outcome = None if getattr(error.__cause__, "sqlstate", "") in IN_THE_WAY else error
        settle(asked, outcome)
    except Exception:  # one is at fault, and is heard of when it is handled alone
        settle(asked, None)


def settle(asked: list[Asked], outcome: Outcome | None) -> None:
    for each in asked:
        each.outcome = outcome


writer = Writer()
