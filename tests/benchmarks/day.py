"""A day of a fleet, compressed: most wait, some charge, and somebody sends commands beside it."""

from __future__ import annotations

import asyncio
import random
from statistics import mean

from .charge_point import ChargePoint
from .http import HttpConnection
from .job import Figures, Job, Window, latency
from .work import attempted, command, connected, end, gather, go_on, timed

COMPRESSION = 20
HEARTBEAT = 300 / COMPRESSION
METER_VALUE = 60 / COMPRESSION
# Meter values of a session: an hour of them.
SESSION = 60
CHARGING = 10
COMMANDS = 5  # a second
SLICES = 20


async def day(job: Job) -> Figures:
    """Answers' latencies, and how much more memory the end takes than the second quarter."""
    charge_points = await connected(job.charge_points(job.count, answer_after=0.05))
    await gather(charge_point.boot() for charge_point in charge_points)
    commanded: list[float] = []
    lost: list[str] = []
    charging = {number for number in range(job.count) if number // len(job.urls) % CHARGING == 0}  # on every worker
    lives = [charge(point) if number in charging else wait(point) for number, point in enumerate(charge_points)]
    tasks = [asyncio.ensure_future(life) for life in (*lives, keep_commanding(job, charge_points, commanded, lost))]
    await go_on(tasks, job.seconds / SLICES)
    commanded.clear()
    held = []
    with Window(job) as window:
        for _ in range(SLICES):
            await go_on(tasks, job.seconds / SLICES)
            held.append(job.application())
    await end(tasks)
    return window.figures(len(window.latencies)) | {
        "commands_p99": latency(commanded).get("p99", 0),
        "lost": len(lost),
        "growth": 100 * (mean(held[-SLICES // 4 :]) / mean(held[SLICES // 4 : SLICES // 2]) - 1),
    }


async def wait(charge_point: ChargePoint) -> None:
    await asyncio.sleep(random.uniform(0, HEARTBEAT))
    while True:
        await charge_point.call("Heartbeat", {})
        await asyncio.sleep(HEARTBEAT)


async def charge(charge_point: ChargePoint) -> None:
    """Session after session; the first is found somewhere in its course."""
    left = random.randint(1, SESSION)
    await asyncio.sleep(random.uniform(0, METER_VALUE))
    while True:
        await charge_point.status(1, "Preparing")
        transaction_id = await charge_point.start()
        await charge_point.status(1, "Charging")
        for _ in range(left):
            await charge_point.measure(transaction_id)
            await asyncio.sleep(METER_VALUE)
        await charge_point.stop(transaction_id)
        await charge_point.status(1, "Available")
        left = SESSION


async def keep_commanding(job: Job, charge_points: list[ChargePoint], latencies: list[float], lost: list[str]) -> None:
    callers = [await HttpConnection.open(url, job.key) for url in job.http]
    while True:
        for caller in callers:
            await attempted(timed(command(caller, random.choice(charge_points).identity), latencies), lost)
            await asyncio.sleep(1 / COMMANDS)
