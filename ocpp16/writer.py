"""Has the CALLs of all sockets handled together: a thread and a commit for what came meanwhile, not for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.db import InterfaceError, OperationalError, connection

from chargepoints.database import Together, in_database

from . import handlers
from .handlers import Asked

Then = Callable[[Asked], None]

BATCH = 128
# PostgreSQL's deadlock_detected, serialization_failure and lock_not_available: the others were in the way.
IN_THE_WAY = ("40P01", "40001", "55P03")


class Writer:
    """Answers each CALL after the commit of its batch.

    What cannot share a transaction with others, since its charge point is held elsewhere or it failed, has its own.
    """

    def __init__(self) -> None:
        # SQLite has one writer at a time; elsewhere one batch is read while the other is committed.
        threads = ThreadPoolExecutor(1 if connection.vendor == "sqlite" else 2, thread_name_prefix="database-writer")
        self._batches = Together(handle_together, threads, BATCH)
        self._alone: set[asyncio.Task[None]] = set()

    def ask(self, asked: Asked, then: Then) -> None:
        """Have a CALL handled; `then` is called with it when it has its outcome, in its context."""
        self._batches.ask(asked, partial(self._handled, asked, then))

    def _handled(self, asked: Asked, then: Then, failure: BaseException | None) -> None:
        if failure is not None:
            asked.outcome = failure
        if asked.outcome is not None:
            conclude(asked, then)
            return
        task = asyncio.get_running_loop().create_task(self._handle_alone(asked, then))
        self._alone.add(task)
        task.add_done_callback(self._alone.discard)

    async def _handle_alone(self, asked: Asked, then: Then) -> None:
        try:
            await in_database(handlers.handle, [asked])
            assert asked.outcome is not None
        except Exception as error:
            asked.outcome = error
        conclude(asked, then)


def conclude(asked: Asked, then: Then) -> None:
    if isinstance(asked.outcome, tuple):
        asked.triggered.discard(asked.call.action)
    asked.context.run(then, asked)


def handle_together(asked: list[Asked]) -> None:
    """Handle a batch; without an outcome is left what must be handled alone. Raises where the database is away."""
    try:
        handlers.handle(asked, patiently=False)
    except (OperationalError, InterfaceError) as error:
        if getattr(error.__cause__, "sqlstate", "") not in IN_THE_WAY:
            raise
        leave_alone(asked)
    except Exception:  # one is at fault, and is heard of when it is handled alone
        leave_alone(asked)


def leave_alone(asked: list[Asked]) -> None:
    for each in asked:
        each.outcome = None


writer = Writer()
