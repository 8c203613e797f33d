"""Runs the simulated charge points of the database: each in one process, and on in another if that dies."""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from django.db import Error

from chargepoints.database import in_database
from chargepoints.looks import is_any
from chargepoints.tasks import cancel_all, keep_looking

from .models import Simulation
from .models.simulation import LEASE
from .simulator import fleet
from .simulator.charge_point import ChargePoint
from .simulator.makes import MAKES
from .simulator.memory import recollect, restore

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
RENEWAL_SECONDS = LEASE.total_seconds() / 3
MAXIMUM_RUNNING = 500
# Rare enough that one whose password was changed is not taken for an attack.
LONGEST_WAIT = 10.0
SAMPLE_INTERVAL = "10"
MAKE_OF = {make.vendor: make for make in MAKES}

_thread = ThreadPoolExecutor(1, thread_name_prefix="database-sandbox")
in_sandbox_thread = partial(in_database, threads=_thread)


class Running(NamedTuple):
    charge_point: ChargePoint
    task: asyncio.Task[None]


class Sandbox:
    """What one process runs; `url` is where its charge points connect, without the identity."""

    def __init__(self, url: str) -> None:
        self.url, self.claim = url, uuid.uuid4()
        self.running: dict[int, Running] = {}
        self.renewed_at = 0.0

    async def run(self) -> None:
        """Run what nobody else runs, until cancelled; what must outlast that is stored then."""
        try:
            await keep_looking(self.look, LOOK_SECONDS, logger, "charge points are to be simulated")
        finally:
            await self.end()

    async def look(self) -> None:
        """Stop what was deleted or taken over, readmit what was locked out, and start what is new."""
        if (now := asyncio.get_running_loop().time()) - self.renewed_at >= RENEWAL_SECONDS:
            await in_sandbox_thread(Simulation.objects.renew, self.claim, self.memories())
            self.renewed_at = now
        held = await in_sandbox_thread(Simulation.objects.claimed, self.claim)
        await self.stop(self.running.keys() - held)
        await self.readmit()
        if not await is_any(Simulation.objects.free):
            return
        room = MAXIMUM_RUNNING - len(self.running)
        for simulation in await in_sandbox_thread(Simulation.objects.claim, self.claim, room):
            self.start(simulation)

    def start(self, simulation: Simulation) -> None:
        charge_point = ChargePoint(
            self.url,
            simulation.charge_point.identity,
            password=simulation.password,
            make=MAKE_OF.get(simulation.make, MAKES[0]),
            longest_wait=LONGEST_WAIT,
        )
        charge_point.configuration["MeterValueSampleInterval"] = SAMPLE_INTERVAL
        if simulation.memory is not None:
            self.recall(charge_point, simulation.memory)
        task = asyncio.get_running_loop().create_task(fleet.keep_running(charge_point, "idle"))
        self.running[simulation.pk] = Running(charge_point, task)

    def recall(self, charge_point: ChargePoint, memory: dict[str, Any]) -> None:
        try:
            restore(charge_point, memory)
        except (KeyError, TypeError, ValueError):  # of another release
            logger.warning("%s has forgotten what it was", charge_point.identity)

    async def readmit(self) -> None:
        """Let those in again whose password was changed by others."""
        refused = {pk: each.charge_point for pk, each in self.running.items() if each.charge_point.refused_with == 401}
        if not refused:
            return
        passwords = await in_sandbox_thread(Simulation.objects.renew_passwords, self.claim, list(refused))
        for pk, password in passwords.items():
            refused[pk].password, refused[pk].refused_with = password, None

    async def stop(self, pks: set[int]) -> None:
        await cancel_all([self.running.pop(pk).task for pk in pks])

    def memories(self) -> dict[int, dict[str, Any]]:
        """Of those that run; to be taken on the event loop, on which they change."""
        return {pk: recollect(running.charge_point) for pk, running in self.running.items()}

    async def end(self) -> None:
        """Leave all to others, as it is now."""
        await cancel_all([running.task for running in self.running.values()])
        try:
            await in_sandbox_thread(Simulation.objects.remember, self.claim, self.memories())
            await in_sandbox_thread(Simulation.objects.release, self.claim)
        except Error as error:
            logger.warning("Simulated charge points stay claimed for a while: %s", error)
