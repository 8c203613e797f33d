"""The loads: what is driven, and what must be there before."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any

from .job import Figures
from .rows import CHARGING, identity
from .sizes import Sizes
from .systems import Product, System

STATUS = "/api/v1/ocpp16/charge_points/status"
PER_PAGE = 50
PLACES = ("first", "middle", "last")
_batches = itertools.count(1)


@dataclass(frozen=True)
class Load:
    """A row of LOADS. `measure` is one round on a system; `prepare` comes before the first on the product."""

    title: str
    measure: Callable[[System, Sizes], Figures]
    prepare: Callable[[Product, Sizes], Any] = lambda system, sizes: None
    has_bare: bool = False  # whether the bare server can do it as well
    is_fresh: bool = False  # whether each round is about processes that have just begun: memory is kept for later
    rounds: Callable[[Sizes], int] = lambda sizes: sizes.rounds


def charge_points(count: Callable[[Sizes], int]) -> Callable[[Product, Sizes], None]:
    """Have so many provisioned."""

    def prepare(system: Product, sizes: Sizes) -> None:
        system.rows("charge_points", "LOAD", count(sizes))

    return prepare


def calls(title: str, script: str, calls_each: int = 1) -> Load:
    """Charge points that send one CALL after another."""

    def measure(system: System, sizes: Sizes) -> Figures:
        options = {"connections": sizes.connections, "warm_up": sizes.warm_up, "seconds": sizes.seconds}
        return system.drive("calls", script=script, calls_each=calls_each, prefix="LOAD", **options)

    return Load(title, measure, charge_points(lambda sizes: sizes.connections), has_bare=True)


def connections(title: str, driver: str, count: Callable[[Sizes], int], **options: Any) -> Load:
    """Many connections to one worker; what the loads before have left to do for the database, is done."""

    def measure(system: System, sizes: Sizes) -> Figures:
        seconds = {"quiet": sizes.quiet_seconds, "seconds": sizes.idle_seconds}
        return system.drive(driver, prefix="LOAD", count=count(sizes), **seconds)

    def prepare(system: Product, sizes: Sizes) -> None:
        charge_points(count)(system, sizes)
        system.rows("analyze")

    return Load(title, measure, prepare, has_bare=True, **options)


def commands(title: str, at_once: Callable[[Sizes], int]) -> Load:
    def measure(system: Any, sizes: Sizes) -> Figures:
        options = {"warm_up": sizes.warm_up, "seconds": sizes.seconds, "at_once": at_once(sizes)}
        return system.drive("commands", prefix="LOAD", key=system.key("LOAD"), count=sizes.commanded, **options)

    return Load(title, measure, charge_points(lambda sizes: sizes.commanded))


def in_flight(system: Any, sizes: Sizes) -> Figures:
    return system.drive("in_flight", prefix="LOAD", key=system.key("LOAD"), count=sizes.in_flight)


def boots(system: Any, sizes: Sizes) -> Figures:
    """On charge points that are new in every round."""
    prefix = f"NEW{next(_batches)}"
    if not isinstance(system, Product):
        return system.drive("boots", prefix=prefix, count=sizes.boots)
    system.rows("charge_points", prefix, sizes.boots)
    figures = system.drive("boots", prefix=prefix, count=sizes.boots)
    return {**figures, "lost": 2 * sizes.boots - system.rows("connectors", prefix)}


def status_paths(fleet: int) -> dict[str, str]:
    """The first, the middle and the last page of a list, by what the report calls them."""
    paths = {"rare": f"{STATUS}?status=Faulted"}
    lists = (
        ("", "", fleet),
        ("charging_", "&status=Charging", fleet / CHARGING),
        ("available_", "&status=Available", fleet),
    )
    for prefix, query, count in lists:
        last = ceil(count / PER_PAGE)
        for place, page in zip(PLACES, (1, ceil(last / 2), last), strict=True):
            paths[prefix + place] = f"{STATUS}?page={page}{query}"
    return paths


def status_pages(index: int) -> Load:
    """Pages of the fleet, and of those of it that are in a status."""

    def measure(system: Any, sizes: Sizes) -> Figures:
        key, paths = system.key("FLEET"), status_paths(sizes.fleets[index])
        figures = system.drive("requests", key=key, paths=paths, count=sizes.requests)
        return {**figures, "queries": max(system.rows("queries", path, key) for path in paths.values())}

    def prepare(system: Product, sizes: Sizes) -> None:
        system.rows("fleet", "FLEET", sizes.fleets[index])

    return Load(f"status pages, {{fleets[{index}]:,}} charge points", measure, prepare)


def active_transactions(system: Any, sizes: Sizes, *numbers: int) -> Figures:
    """Of the charge points whose transactions have `sizes.meter_values` of these numbers, each asked for in turn."""
    root = "/api/v1/ocpp16/active_transactions"
    paths = {str(number): f"{root}/{identity('METERED', number)}" for number in numbers}
    return system.drive("requests", key=system.key("METERED"), paths=paths, count=sizes.requests)


def active_few(system: Any, sizes: Sizes) -> Figures:
    return active_transactions(system, sizes, 0)


def active_many(system: Any, sizes: Sizes) -> Figures:
    """Compared with few in the same round, latencies request by request.

    While millions of rows are written a machine becomes faster or slower, and it does so within seconds, too.
    """
    few, many, both = (active_transactions(system, sizes, *numbers) for numbers in ((0,), (1,), (0, 1)))
    return {**many, "p50_times": both["p50_1"] / both["p50_0"], "cpu_times": many["cpu"] / few["cpu"]}


def metered(count: int) -> Callable[[Product, Sizes], None]:
    """Have so many charge points with the meter values of `sizes`."""

    def prepare(system: Product, sizes: Sizes) -> None:
        for number in range(count):
            system.rows("meter_values", "METERED", number, sizes.meter_values[number])

    return prepare


def day(system: Any, sizes: Sizes) -> Figures:
    return system.drive("day", prefix="LOAD", key=system.key("LOAD"), count=sizes.day, seconds=sizes.day_seconds)


LOADS: dict[str, Load] = {
    "heartbeat": calls("Heartbeat", "heartbeats"),
    "meter_values": calls("MeterValues, 6 samples", "meter_values"),
    "session": calls("StartTransaction + StopTransaction", "sessions", calls_each=2),
    "status": calls("StatusNotification", "statuses"),
    "command": commands("command, one at a time", lambda sizes: 1),
    "commands": commands("commands, {commands_at_once} at once", lambda sizes: sizes.commands_at_once),
    "in_flight": Load(
        "{in_flight:,} commands in flight, answered after 1 s",
        in_flight,
        charge_points(lambda sizes: sizes.in_flight),
        is_fresh=True,
    ),
    "idle": connections("{idle:,} idle connections", "idle", lambda sizes: sizes.idle, is_fresh=True),
    "idle_many": connections("{idle_many:,} idle connections", "idle", lambda sizes: sizes.idle_many, is_fresh=True),
    "handshakes": connections("handshakes, one worker", "handshakes", lambda sizes: sizes.handshakes),
    "boots": Load("first boots with two StatusNotifications", boots, has_bare=True),
    "day": Load(
        "mixed day, {day:,} charge points",
        day,
        charge_points(lambda sizes: sizes.day),
        rounds=lambda sizes: sizes.day_rounds,
        is_fresh=True,
    ),
    "pages_small": status_pages(0),
    "pages_middle": status_pages(1),
    "pages_large": status_pages(2),
    "active_few": Load("active transactions, {meter_values[0]:,} meter values", active_few, metered(1)),
    "active_many": Load("active transactions, {meter_values[1]:,} meter values", active_many, metered(2)),
}
