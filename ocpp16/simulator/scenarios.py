"""What happens at a charge point of its own accord."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

from .charge_point import ChargePoint
from .connector import Connector
from .transaction import Transaction

FAULTS = (
    ("GroundFailure", "Ground fault detected"),
    ("HighTemperature", "Cable is too hot"),
    ("ConnectorLockFailure", "Lock does not close"),
    ("EVCommunicationError", ""),
    ("OverVoltage", "Mains above 253 V"),
)
DEFAULT_ID_TAGS = tuple(f"SIM-TAG-{number}" for number in range(1, 7))
MINUTE = 60.0


async def idle(charge_point: ChargePoint) -> None:
    """Boot, beat, answer, obey; nothing else."""
    await asyncio.Event().wait()


async def live(charge_point: ChargePoint) -> None:
    """Drivers come, charge and go; now and then a connector faults, and is repaired."""
    async with asyncio.TaskGroup() as group:
        for connector in charge_point.connectors:
            group.create_task(drivers(connector))
        group.create_task(occasional_faults(charge_point))


async def fault(charge_point: ChargePoint) -> None:
    """Each session ends in a fault, which is repaired after a while."""
    for connector in itertools.cycle(charge_point.connectors):
        await charge_point.pause(20)
        transaction = await arrive(connector, id_tag(charge_point))
        if transaction is None:
            continue
        await charge_point.pause(2 * MINUTE)
        await break_and_repair(connector, 2 * MINUTE)


async def offline(charge_point: ChargePoint) -> None:
    """Each session loses the connection in its middle, and ends before the connection is back: all is replayed."""
    connector = charge_point.connectors[0]
    while True:
        await charge_point.pause(20)
        transaction = await arrive(connector, id_tag(charge_point))
        if transaction is None:
            continue
        await charge_point.pause(MINUTE)
        charge_point.lose_connection(2 * MINUTE / charge_point.speed)
        await charge_point.pause(MINUTE)
        connector.end("Local", transaction.id_tag, only=transaction)
        await charge_point.pause(2 * MINUTE)


SCENARIOS: dict[str, Callable[[ChargePoint], Coroutine[Any, Any, None]]] = {
    "live": live,
    "idle": idle,
    "fault": fault,
    "offline": offline,
}


def id_tag(charge_point: ChargePoint) -> str:
    return charge_point.random.choice(charge_point.id_tags or DEFAULT_ID_TAGS)


async def drivers(connector: Connector) -> None:
    """One driver after the other."""
    charge_point, random = connector.charge_point, connector.random
    await charge_point.pause(random.uniform(0.5, 4) * MINUTE)
    while True:
        await visit(connector, id_tag(charge_point))
        await charge_point.pause(random.uniform(3, 40) * MINUTE)


async def visit(connector: Connector, tag: str) -> None:
    """A driver charges until they must go on; one whose session was started for them leaves likewise."""
    charge_point, random = connector.charge_point, connector.random
    transaction = connector.transaction or await arrive(connector, tag)
    if transaction is None:
        return
    longest = random.uniform(25, 50) if charge_point.make.direct_current else random.uniform(60, 240)
    try:
        async with asyncio.timeout(longest * MINUTE / charge_point.speed):
            await transaction.ended.wait()
    except TimeoutError:
        connector.end("Local", transaction.id_tag, only=transaction)


async def arrive(connector: Connector, tag: str) -> Transaction | None:
    """Plug in, present a tag, and begin to charge; None where the charge point does not let them."""
    charge_point = connector.charge_point
    if connector.vehicle is not None or not connector.admits(tag) or not charge_point.accepted.is_set():
        return None
    vehicle = charge_point.arriving_vehicle()
    connector.plug_in(vehicle)
    await charge_point.pause(connector.random.uniform(10, 40))
    authorized = await charge_point.authorize(tag)
    if connector.vehicle is not vehicle or connector.transaction is not None:
        return None
    if not authorized or not connector.admits(tag):
        connector.unplug()
        return None
    return connector.begin(tag)


async def occasional_faults(charge_point: ChargePoint) -> None:
    while True:
        await charge_point.pause(charge_point.random.expovariate(1 / (120 * MINUTE)) + 20 * MINUTE)
        connector = charge_point.random.choice(charge_point.connectors)
        if connector.operative and charge_point.is_online:
            await break_and_repair(connector, charge_point.random.uniform(5, 20) * MINUTE)


async def break_and_repair(connector: Connector, seconds: float) -> None:
    connector.break_down(*connector.random.choice(FAULTS))
    await connector.charge_point.pause(seconds)
    connector.repair()
