"""Meter values as series: a point for each moment, or for each stretch of time where those would be too many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from chargepoints.readings import IMPORT_REGISTER, number, objects, unit_of

Value = int | float


class Key(NamedTuple):
    """What a series measures, as the charge point said it."""

    measurand: str
    phase: str | None
    location: str
    unit: str | None


class Point(NamedTuple):
    """What was measured until `timestamp`, since the point before: the newest of its readings was taken then."""

    timestamp: datetime
    value: Value
    minimum: Value
    maximum: Value
    readings: int


Series = dict[Key, list[Point]]


def key_of(sample: dict[str, Any]) -> Key:
    phase = sample.get("phase")
    return Key(
        str(sample.get("measurand", IMPORT_REGISTER)),
        str(phase) if phase else None,
        str(sample.get("location", "Outlet")),
        unit_of(sample),
    )


def collect(readings: Iterable[tuple[datetime, Any]], measurand: str | None, phase: str | None) -> Series:
    """A series for all that was measured, or for what is asked for; signed data and what is no number is left out."""
    found: Series = {}
    for timestamp, sampled_values in readings:
        for sample in objects(sampled_values):
            key, value = key_of(sample), number(sample)
            if value is None or measurand not in (None, key.measurand) or phase not in (None, key.phase):
                continue
            found.setdefault(key, []).append(Point(timestamp, value, value, value, 1))
    return dict(sorted(found.items(), key=lambda item: [part or "" for part in item[0]]))


def resolution_for(series: Series, resolution: int | None, maximum: int) -> int | None:
    """The seconds of a stretch that leaves at most `maximum` points in each series; None where all can stay."""
    if resolution is None and all(len(points) <= maximum for points in series.values()):
        return None
    moments = [point.timestamp.timestamp() for points in series.values() for point in (points[0], points[-1])]
    # A span touches one stretch more than it is long.
    needed = int(max(moments) - min(moments)) // (maximum - 1) + 1 if moments else 1
    return max(resolution or 1, needed)


def thinned(key: Key, points: list[Point], resolution: int) -> list[Point]:
    """One point for each stretch of so many seconds, counted from 1970 in UTC, in which anything was measured."""
    stretches: dict[int, list[Point]] = {}
    for point in points:
        stretches.setdefault(int(point.timestamp.timestamp()) // resolution, []).append(point)
    return [merged(key, stretch) for stretch in stretches.values()]


def merged(key: Key, points: list[Point]) -> Point:
    """A register goes on from its newest reading; what goes up and down is told by its mean."""
    values = [point.value for point in points]
    is_register = key.measurand.endswith(".Register")
    value = values[-1] if is_register or len(values) == 1 else round(sum(values) / len(values), 6)
    return Point(points[-1].timestamp, value, min(values), max(values), len(values))
