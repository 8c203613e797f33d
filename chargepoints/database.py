"""Database work of sockets, off the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import Error, close_old_connections, connection, models
from prometheus_client import Counter, Gauge, Histogram

T = TypeVar("T")

working = Gauge("dynamo_database_work", "Database work of sockets that waits for a thread or is being done.")
waited = Histogram("dynamo_database_wait_seconds", "How long database work of sockets waited for a thread.")
failures = Counter("dynamo_database_failures", "Database work of sockets that failed.", ["error"])

# Thread sensitivity is decided here, once: `database_sync_to_async` outside a request would put every socket of
# the process behind one thread. These threads are only ever ours, so nothing in them expects the main thread.
_threads = ThreadPoolExecutor(settings.DYNAMO_DATABASE_THREADS, thread_name_prefix="database")
# Leases must not run out behind a storm of handshakes.
upkeep_thread = ThreadPoolExecutor(1, thread_name_prefix="database-upkeep")


async def in_database(function: Callable[..., T], *args: Any, threads: ThreadPoolExecutor = _threads) -> T:
    """Run `function` in a thread of the pool that sockets share, or of `threads`, and hand its connection back."""
    # Log lines that are written there belong to the same request, charge point and message.
    run = partial(copy_context().run, _run, time.monotonic(), function, *args)
    with working.track_inprogress():
        return await asyncio.get_running_loop().run_in_executor(threads, run)


def insert(model: type[models.Model], columns: Sequence[str], rows: list[Any]) -> None:
    """Insert many rows of plain values at a third of what the ORM's bulk_create takes."""
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    target = f"{connection.ops.quote_name(model._meta.db_table)} ({quoted})"
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {target} VALUES ({places})", rows)  # noqa: S608  names of our own
            return
        with cursor.copy(f"COPY {target} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def _run(asked_at: float, function: Callable[..., T], *args: Any) -> T:
    waited.observe(time.monotonic() - asked_at)
    try:
        return function(*args)
    except Error as error:
        failures.labels(type(error).__name__).inc()
        raise
    finally:
        close_old_connections()
