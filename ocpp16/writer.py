"""Has the CALLs of all sockets handled together: a thread and a commit for what came meanwhile, not for each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from chargepoints.database import Together, in_database

from . import handlers
from .frames import Call
from .handlers import Asked

BATCH = 64
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

    async def handle(
        self, charge_point_id: int, call: Call, triggered: set[str]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The payload of the CALLRESULT and the findings; raises InvalidPayload, or why nothing was stored."""
        asked = Asked(charge_point_id, call, triggered)
        await self._batches.do(asked)
        if asked.outcome is None:
            await in_database(handlers.handle, [asked])
        assert asked.outcome is not None
        if isinstance(asked.outcome, Exception):
            raise asked.outcome
        triggered.discard(call.action)
        return asked.outcome


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
