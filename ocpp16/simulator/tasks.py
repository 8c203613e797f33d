"""Cancellation that holds on Python 3.11, whose task groups lose one that comes as a child fails."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_one_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run these beside each other until one ends; stop the others, and raise what it raised."""
    tasks = [asyncio.get_running_loop().create_task(coroutine) for coroutine in coroutines]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


def obey_cancellation() -> None:
    """Raise CancelledError if this task was told to stop and something swallowed that.

    Python 3.11's `wait_for`, which the `ocpp` package uses, does so when the answer comes in the same instant.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
