"""How each kind of load is driven; what it returns are its figures."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from .charge_point import ChargePoint
from .day import day
from .http import HttpConnection
from .job import Failed, Figures, Job, Window, latency
from .work import attempted, command, connected, end, gather, go_on, timed


async def heartbeats(charge_point: ChargePoint) -> None:
    while True:
        await charge_point.call("Heartbeat", {})


async def meter_values(charge_point: ChargePoint) -> None:
    transaction_id = await charge_point.start()
    while True:
        await charge_point.measure(transaction_id)


async def sessions(charge_point: ChargePoint) -> None:
    while True:
        await charge_point.stop(await charge_point.start())


async def statuses(charge_point: ChargePoint) -> None:
    for status in itertools.cycle(("Preparing", "Available")):
        await charge_point.status(1, status)


SCRIPTS: dict[str, Callable[[ChargePoint], Awaitable[None]]] = {
    "heartbeats": heartbeats,
    "meter_values": meter_values,
    "sessions": sessions,
    "statuses": statuses,
}


async def calls(job: Job) -> Figures:
    """Each charge point sends its next CALL as soon as the last is answered."""
    charge_points = await connected(job.charge_points(job.connections))
    await gather(charge_point.boot() for charge_point in charge_points)
    tasks = [asyncio.ensure_future(SCRIPTS[job.script](charge_point)) for charge_point in charge_points]
    await go_on(tasks, job.warm_up)
    with Window(job) as window:
        await go_on(tasks, job.seconds)
    await end(tasks)
    return window.figures(len(window.latencies) / job.calls_each)


async def handshakes(job: Job) -> Figures:
    """Charge points connect to one worker, many at a time, and stay."""
    charge_points = job.charge_points(job.count, job.urls[:1])
    with Window(job) as window:
        await gather(timed(charge_point.connect(), job.latencies) for charge_point in charge_points)
    return window.figures(job.count)


async def boots(job: Job) -> Figures:
    """Charge points that were never seen before connect, boot, and report themselves and their connector."""
    with Window(job) as window:
        await gather(first_boot(charge_point) for charge_point in job.charge_points(job.count))
    return window.figures(job.count)


async def first_boot(charge_point: ChargePoint) -> None:
    await charge_point.connect()
    await charge_point.boot()
    await charge_point.status(0, "Available")
    await charge_point.status(1, "Available")


async def idle(job: Job) -> Figures:
    """Charge points connect to one worker and are silent, but for answers to its pings."""
    empty, before = await quiet_window(job), job.application()
    charge_points = await connected(job.charge_points(job.count, job.urls[:1]))
    window, each = await quiet_window(job), (job.application() - before) / job.count
    if any(charge_point.socket.closed.done() for charge_point in charge_points):
        raise Failed("The server closed idle sockets.")
    whole, added = (share * 1000 / job.count for share in (window.percent, max(0, window.percent - empty.percent)))
    return {"megabytes": window.megabytes, "kilobytes": each / 1000, "percent": whole, "added": added}


async def quiet_window(job: Job) -> Window:
    """What the system does by itself, once nothing is left to do of what was."""
    await asyncio.sleep(job.quiet)
    with Window(job) as window:
        await asyncio.sleep(job.seconds)
    return window


async def commands(job: Job) -> Figures:
    """Callers send commands one after another, each to the next charge point."""
    # Where it is about one command, that goes through both workers.
    urls, http = (job.urls[:1], job.http[-1:]) if job.at_once == 1 else (job.urls, job.http)
    charge_points = await connected(job.charge_points(job.count, urls))
    await gather(charge_point.boot() for charge_point in charge_points)
    turns = itertools.cycle(range(job.count))
    callers = [await HttpConnection.open(http[number % len(http)], job.key) for number in range(job.at_once)]
    tasks = [asyncio.ensure_future(keep_commanding(caller, charge_points, turns, job)) for caller in callers]
    await go_on(tasks, job.warm_up)
    with Window(job) as window:
        await go_on(tasks, job.seconds)
    await end(tasks)
    return window.figures(len(window.latencies))


async def keep_commanding(caller: HttpConnection, charge_points: list[ChargePoint], turns: Any, job: Job) -> None:
    while True:
        await timed(command(caller, charge_points[next(turns)].identity), job.latencies)


async def in_flight(job: Job) -> Figures:
    """Many commands at once, each answered after a second."""
    charge_points = await connected(job.charge_points(job.count, answer_after=1))
    callers = [await HttpConnection.open(job.http[number % len(job.http)], job.key) for number in range(job.count)]
    for number in (0, -1):  # the first of all has much to load
        await command(callers[number], charge_points[number].identity)
    held = [job.application()]
    watching = asyncio.ensure_future(watch(job, held))
    lost: list[str] = []
    with Window(job) as window:
        works = (command(caller, point.identity) for caller, point in zip(callers, charge_points, strict=True))
        await gather((attempted(timed(work, job.latencies), lost) for work in works), job.count)
    watching.cancel()
    each = (max(held) - held[0]) / job.count
    beside = {"seconds": window.seconds, "kilobytes": each / 1000, "lost": len(lost)}
    return {**window.figures(len(window.latencies)), **beside}


async def watch(job: Job, held: list[int]) -> None:
    while True:
        await asyncio.sleep(0.2)
        held.append(job.application())


async def requests(job: Job) -> Figures:
    """One caller asks for each of the paths in turn, again and again."""
    caller = await HttpConnection.open(job.http[0], job.key)
    latencies: dict[str, list[float]] = {name: [] for name in job.paths}
    for path in job.paths.values():
        await caller.get(path)
    with Window(job) as window:
        for _ in range(job.count):
            for name, path in job.paths.items():
                await timed(caller.get(path), latencies[name])
        job.latencies.extend(itertools.chain(*latencies.values()))
    medians = {f"p50_{name}": latency(seconds)["p50"] for name, seconds in latencies.items()}
    return {**window.figures(len(window.latencies)), **medians}


DRIVERS: dict[str, Callable[[Job], Awaitable[Figures]]] = {
    function.__name__: function for function in (calls, handshakes, boots, idle, commands, in_flight, requests, day)
}
