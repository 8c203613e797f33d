"""Timestamps on the wire, sane or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp16 import times

pytestmark = pytest.mark.without_services

RECEIVED = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T12:00:00z", NOON),
        ("2026-01-02t12:00:00Z", NOON),
        (" 2026-01-02T12:00:00Z ", NOON),
        ("2026-01-02T12:00Z", NOON),
        ("2026-01-02T14:00:00+02:00", NOON),
        ("2026-01-02T14:00:00+0200", NOON),
        ("2026-01-02T14:00:00+02", NOON),
        ("2026-01-02T06:30:00-05:30", NOON),
        ("2026-01-02T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-01-02T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_reads_a_time(text: str, moment: datetime) -> None:
    assert times.read(text, RECEIVED) == (moment, "")


def test_takes_a_time_without_a_zone_for_utc() -> None:
    moment, repaired = times.read("2026-01-02T12:00:00", RECEIVED)
    assert moment == NOON
    assert "without a zone" in repaired


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-02T24:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-13-01T12:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+05:00",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59-05:00",
        "2026-01-02T12:00:00+25:00",
        "-2026-01-02T12:00:00Z",
        "1767355200",
    ],
)
def test_replaces_an_impossible_time_by_that_of_receipt(text: str) -> None:
    moment, repaired = times.read(text, RECEIVED)
    assert moment == RECEIVED
    assert "impossible" in repaired


@given(st.text(st.characters(codec=None), max_size=40) | st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?\Z"))
def test_finds_a_moment_in_any_text(text: str) -> None:
    moment, _ = times.read(text, RECEIVED)
    assert moment.utcoffset() == timedelta(0)
    assert moment.year >= 1970


@given(st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)))
def test_reads_back_what_it_writes(moment: datetime) -> None:
    assert times.read(times.write(moment), RECEIVED) == (moment.replace(microsecond=0), "")


def test_writes_utc_with_z() -> None:
    there = timezone(timedelta(hours=2))
    assert times.write(datetime(2026, 1, 2, 14, 0, 0, 999_999, tzinfo=there)) == "2026-01-02T12:00:00Z"


def test_writes_milliseconds_where_the_setting_says_so(settings) -> None:
    settings.DYNAMO_TIMESTAMP_MILLISECONDS = True
    assert times.write(NOON) == "2026-01-02T12:00:00.000Z"
