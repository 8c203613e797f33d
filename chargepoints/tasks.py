"""Tasks of the event loop that go on until the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from django.db import Error


async def keep_looking(look: Callable[[], Awaitable[Any]], seconds: float, logger: logging.Logger, what: str) -> None:
    """Look again and again until cancelled, through failures of the database and its own; `what` nobody knows then."""
    while True:
        try:
            await look()
        except Error as error:
            logger.warning("Nobody knows which %s: %s", what, error)
        except Exception:
            logger.exception("Nobody knows which %s", what)
        await tick(seconds)


async def tick(seconds: float) -> float:
    """Sleep until the loop's clock shows a multiple of so many seconds: who look as often, look together.

    Returns that time.
    """
    now = asyncio.get_running_loop().time()
    due_at = now // seconds * seconds + seconds
    await asyncio.sleep(due_at - now)
    return due_at


async def run_all(*duties: Coroutine[Any, Any, None]) -> None:
    """Run these until cancelled, and until each has ended then; `gather` waits only for the first."""
    async with asyncio.TaskGroup() as running:
        for duty in duties:
            running.create_task(duty)


async def cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel these, and wait until they have ended, however they do."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
