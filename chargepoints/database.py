"""Database work of sockets, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import close_old_connections

T = TypeVar("T")

# Thread sensitivity is decided here, once: `database_sync_to_async` outside a request would put every socket of
# the process behind one thread. These threads are only ever ours, so nothing in them expects the main thread.
_threads = ThreadPoolExecutor(settings.DYNAMO_DATABASE_THREADS, thread_name_prefix="database")
# Leases must not run out behind a storm of handshakes.
upkeep_thread = ThreadPoolExecutor(1, thread_name_prefix="database-upkeep")


async def in_database(function: Callable[..., T], *args: Any, threads: ThreadPoolExecutor = _threads) -> T:
    """Run `function` in a thread of the pool that sockets share, or of `threads`, and hand its connection back."""
    # Log lines that are written there belong to the same request, charge point and message.
    run = partial(copy_context().run, _run, function, *args)
    return await asyncio.get_running_loop().run_in_executor(threads, run)


def _run(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    finally:
        close_old_connections()
