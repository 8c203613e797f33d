"""What several loads are made of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any

from .charge_point import ChargePoint
from .http import HttpConnection
from .job import Failed

AT_ONCE = 50
COMMAND = "/api/v1/ocpp16/send_command"


async def gather(works: Iterable[Coroutine[Any, Any, Any]], at_once: int = AT_ONCE) -> None:
    """Do all of them, so many at a time."""
    left = iter(works)

    async def take() -> None:
        for work in left:
            await work

    await asyncio.gather(*(take() for _ in range(at_once)))


async def go_on(tasks: list[asyncio.Task[Any]], seconds: float) -> None:
    """Let tasks run that never end; raises what one fails with."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in done:
        task.result()


async def end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def connected(charge_points: list[ChargePoint]) -> list[ChargePoint]:
    await gather(charge_point.connect() for charge_point in charge_points)
    return charge_points


async def timed(work: Awaitable[Any], seconds: list[float]) -> None:
    began = time.perf_counter()
    await work
    seconds.append(time.perf_counter() - began)


async def attempted(work: Awaitable[Any], failures: list[str]) -> None:
    """Do it, where it may fail and that is to be told."""
    try:
        await work
    except (ConnectionError, Failed) as failure:
        failures.append(str(failure))


async def command(caller: HttpConnection, identity: str) -> None:
    body = {"charge_point_id": identity, "command": "ClearCache", "payload": {}}
    answer = await caller.post(COMMAND, body)
    if answer["status"] != "Accepted":
        raise Failed(f"A command ended as {answer}.")
