"""Run charge points: one, or many beside each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from .charge_point import ChargePoint
from .connection import stay_connected
from .scenarios import SCENARIOS
from .tasks import until_one_ends

logger = logging.getLogger(__name__)

SECONDS_AFTER_A_FAILURE = 10.0
# Many charge points do not dial in the same instant.
SECONDS_BETWEEN_STARTS = 0.05

Life = tuple[ChargePoint, str]


async def run(charge_point: ChargePoint, scenario: str = "idle") -> None:
    """Let a charge point live by the named scenario, until cancelled."""
    live = SCENARIOS[scenario]
    try:
        await until_one_ends(stay_connected(charge_point), charge_point.tick_forever(), live(charge_point))
    finally:
        charge_point.cancel_errands()


async def run_fleet(lives: Sequence[Life]) -> None:
    """Run many charge points, each with its scenario; the failure of one does not touch the others."""
    async with asyncio.TaskGroup() as group:
        for charge_point, scenario in lives:
            group.create_task(keep_running(charge_point, scenario))
            await asyncio.sleep(SECONDS_BETWEEN_STARTS)


async def keep_running(charge_point: ChargePoint, scenario: str) -> None:
    """Run a charge point, and again when it has failed, until cancelled."""
    while True:
        try:
            await run(charge_point, scenario)
        except Exception:
            logger.exception("%s failed", charge_point.identity)
        await asyncio.sleep(SECONDS_AFTER_A_FAILURE)
