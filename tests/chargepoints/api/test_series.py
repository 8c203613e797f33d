"""Series of meter values, and what stands for their points where they are too many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargepoints.api.series import Key, Point, collect, resolution_for, thinned
from chargepoints.readings import IMPORT_REGISTER

pytestmark = pytest.mark.without_services

AT = datetime(2024, 3, 10, 14, 0, tzinfo=UTC)
ENERGY = Key(IMPORT_REGISTER, None, "Outlet", "Wh")
POWER = Key("Power.Active.Import", None, "Outlet", "W")


def points_of(values: list[float], every: int = 10) -> list[Point]:
    return [Point(AT + timedelta(seconds=every * n), value, value, value, 1) for n, value in enumerate(values)]


def test_makes_a_series_of_each_thing_that_was_measured() -> None:
    samples = [
        {"value": "1500"},
        {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"},
        {"value": "16", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
        {"value": "15.5", "measurand": "Current.Import", "phase": "L2", "unit": "A"},
        {"value": "230", "measurand": "Voltage", "location": "Inlet"},
    ]
    found = collect([(AT, samples), (AT, [{"value": "1600", "context": "Transaction.End"}])], None, None)
    assert {key: [point.value for point in points] for key, points in found.items()} == {
        Key("Current.Import", "L1", "Outlet", "A"): [16],
        Key("Current.Import", "L2", "Outlet", "A"): [15.5],
        ENERGY: [1500, 1600],
        Key("Power.Active.Import", None, "Outlet", "kW"): [7.2],
        Key("Voltage", None, "Inlet", None): [230],
    }
    assert list(found) == sorted(found, key=lambda key: [part or "" for part in key])


def test_makes_the_series_that_are_asked_for() -> None:
    samples = [{"value": "1", "measurand": "Current.Import", "phase": phase} for phase in ("L1", "L2")]
    samples.append({"value": "2", "measurand": "Voltage", "phase": "L1"})
    assert [key[:2] for key in collect([(AT, samples)], "Current.Import", None)] == [
        ("Current.Import", "L1"),
        ("Current.Import", "L2"),
    ]
    assert [key[:2] for key in collect([(AT, samples)], "Current.Import", "L2")] == [("Current.Import", "L2")]
    assert collect([(AT, samples)], "SoC", None) == {}


@pytest.mark.parametrize(
    "sample",
    [
        {"value": "ABCDEF", "format": "SignedData"},
        {"value": "12", "format": "SignedData"},
        *[{"value": value} for value in ("", "abc", "nan", "Infinity", "1e400", "--1", None, [], {"a": 1}, True)],
        {},
        "1500",
        None,
        7,
    ],
)
def test_leaves_out_what_is_no_number(sample: Any) -> None:
    assert collect([(AT, [sample])], None, None) == {}
    assert collect([(AT, sample)], None, None) == {}


@pytest.mark.parametrize(("text", "value"), [(" 5 ", 5), ("5.0", 5), ("-0.5", -0.5), ("1e3", 1000), (7, 7)])
def test_reads_numbers_as_charge_points_write_them(text: Any, value: float) -> None:
    (points,) = collect([(AT, [{"value": text}])], None, None).values()
    assert points[0].value == value


def test_keeps_every_point_where_they_are_few() -> None:
    assert resolution_for({ENERGY: points_of([1, 2, 3])}, None, 3) is None
    assert resolution_for({}, None, 3) is None
    assert resolution_for({ENERGY: points_of([1, 2, 3])}, 60, 500) == 60
    assert resolution_for({}, 60, 2) == 60


def test_goes_on_from_the_newest_reading_of_a_register() -> None:
    assert thinned(ENERGY, points_of([100, 110, 120, 130, 140, 150, 160]), 60) == [
        Point(AT + timedelta(seconds=50), 150, 100, 150, 6),
        Point(AT + timedelta(seconds=60), 160, 160, 160, 1),
    ]


def test_tells_the_mean_and_the_bounds_of_what_goes_up_and_down() -> None:
    (point,) = thinned(POWER, points_of([7000, 0, 7000.5]), 60)
    assert point == Point(AT + timedelta(seconds=20), 4666.833333, 0, 7000.5, 3)


def test_counts_stretches_from_whole_hours() -> None:
    points = [Point(AT + timedelta(minutes=minutes), 1, 1, 1, 1) for minutes in (-1, 0, 59, 60)]
    assert [point.readings for point in thinned(POWER, points, 3600)] == [1, 2, 1]


@given(
    seconds=st.lists(st.integers(0, 200_000), min_size=1, max_size=60),
    maximum=st.integers(2, 10),
    asked=st.none() | st.integers(1, 86_400),
)
def test_leaves_no_more_points_than_asked_for_and_loses_no_reading(
    seconds: list[int], maximum: int, asked: int | None
) -> None:
    points = [Point(AT + timedelta(seconds=moment), moment, moment, moment, 1) for moment in sorted(seconds)]
    resolution = resolution_for({ENERGY: points}, asked, maximum)
    told = points if resolution is None else thinned(ENERGY, points, resolution)
    assert len(told) <= maximum
    assert sum(point.readings for point in told) == len(points)
    assert (min(point.minimum for point in told), told[-1].value) == (points[0].value, points[-1].value)
    assert [point.timestamp for point in told] == sorted({point.timestamp for point in told}) or resolution is None
    if resolution is not None and asked is not None:
        assert resolution >= asked
