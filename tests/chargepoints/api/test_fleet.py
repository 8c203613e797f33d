"""The fleet in a few numbers, and how much it has delivered today, wherever that is."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.models import ApiKey
from chargepoints.api.fleet import last_midnight
from chargepoints.energy import delivered_since
from chargepoints.models import ChargePoint, MeterValue, Transaction
from tests.api import RESOURCES, Api, error_of, make_api, make_charge_point
from tests.chargepoints.test_status_reads import make
from tests.conftest import wind_clock

MIDNIGHT = datetime(2024, 3, 10, tzinfo=UTC)


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


@pytest.fixture
def row(api: Api) -> ChargePoint:
    return make_charge_point(api.organization, "CP-1")


def online(charge_point: ChargePoint) -> ChargePoint:
    until = timezone.now() + timedelta(minutes=1)
    ChargePoint.objects.filter(pk=charge_point.pk).update(channel_name=charge_point.identity, online_until=until)
    return charge_point


def summary(api: Api, **query: str) -> Any:
    response = api.get("/cpo/fleet/summary", query)
    assert response.status_code == 200, response.content
    return response.json()


def session(row: ChargePoint, began: float, *, connector_id: int = 1, at: datetime = MIDNIGHT) -> Transaction:
    """A session that began so many minutes after `at` with 1,000 Wh on the meter."""
    return Transaction.objects.start(
        row,
        connector_id=connector_id,
        id_tag="TAG",
        meter_start=1000,
        started_at=at + timedelta(minutes=began),
        authorization_status="Accepted",
    )[0]


def measure(started: Transaction, minutes: float, *samples: Any) -> None:
    """Readings so many minutes after MIDNIGHT: numbers of Wh, or samples as they are."""
    at = MIDNIGHT + timedelta(minutes=minutes)
    sampled = [sample if isinstance(sample, dict) else {"value": str(sample)} for sample in samples]
    MeterValue.objects.create(
        charge_point=started.charge_point,
        transaction=started,
        connector_id=1,
        timestamp=at,
        sampled_values=sampled,
        fingerprint=uuid.uuid4(),
    )
    for sample in samples:
        if isinstance(sample, int):
            started.record_reading(sample, at)


def since_midnight() -> float:
    return delivered_since(Transaction.objects.all(), MIDNIGHT)


def test_counts_the_fleet(api: Api) -> None:
    online(make(api, "BOTH", "Available", "Charging", "Available"))
    online(make(api, "CHARGING", "Available", "Charging", "Charging"))
    online(make(api, "FAULTED", "Faulted", "Available"))
    online(make(api, "OTHER", "Available", "Preparing"))
    online(make(api, "NEW"))
    offline = make(api, "OFFLINE", "Available", "Available", "Faulted")
    session(offline, 0)
    assert summary(api) == {
        "total_chargers": 6,
        "online": 5,
        "offline": 1,
        "charging": 2,
        "available": 2,
        "faulted": 1,
        "active_sessions": 1,
        "total_energy_today_kwh": 0,
    }


def test_tells_what_is_simulated_from_what_is_real(api: Api) -> None:
    for identity, is_simulated, energy in (("REAL", False, 2000), ("SIM", True, 5000)):
        charge_point = online(make(api, identity, "Available", "Charging"))
        ChargePoint.objects.filter(pk=charge_point.pk).update(is_simulated=is_simulated)
        session(charge_point, 0, at=timezone.now()).record_reading(energy, timezone.now())
    for query, count, energy in (({}, 2, 5), ({"simulated": "false"}, 1, 1), ({"simulated": "true"}, 1, 4)):
        told = summary(api, **query)
        assert {told[name] for name in ("total_chargers", "online", "charging", "active_sessions")} == {count}
        assert told["total_energy_today_kwh"] == energy


@pytest.mark.parametrize("value", ["", "1", "True", "\x00"])
def test_refuses_what_is_neither_true_nor_false(api: Api, value: str) -> None:
    error = error_of(api.get("/cpo/fleet/summary", {"simulated": value}), 400, "validation_error")
    assert list(error["details"]) == ["simulated"]


def test_has_nothing_to_count_at_first(api: Api) -> None:
    assert set(summary(api).values()) == {0}


def test_counts_nothing_of_another_organization(api: Api) -> None:
    other = make_api("Other", root=RESOURCES)
    theirs = online(make(other, "THEIRS", "Available", "Charging", "Available"))
    session(theirs, 0, at=timezone.now()).record_reading(9000, timezone.now())
    assert set(summary(api).values()) == {0}
    assert summary(other)["total_energy_today_kwh"] == 8


def test_sums_what_has_begun_today(api: Api, row: ChargePoint) -> None:
    now = timezone.now()
    session(row, 0, at=now).stop(3500, now, "Local")
    session(row, 0, connector_id=2, at=now).record_reading(1250, now)
    session(row, 0, connector_id=3, at=now)
    assert summary(api)["total_energy_today_kwh"] == 2.75


def test_takes_less_than_nothing_for_nothing(row: ChargePoint) -> None:
    session(row, 10).stop(500, MIDNIGHT + timedelta(hours=1), "Local")
    session(row, -10, connector_id=2).stop(500, MIDNIGHT + timedelta(hours=1), "Local")
    assert since_midnight() == 0


def test_survives_what_a_broken_meter_tells(row: ChargePoint) -> None:
    for connector_id in (1, 2, 3):
        session(row, 10, connector_id=connector_id).record_reading(2**62 - 1, MIDNIGHT + timedelta(hours=1))
    assert since_midnight() > 2**63


def test_leaves_out_what_ended_before(row: ChargePoint) -> None:
    session(row, -120).stop(9000, MIDNIGHT - timedelta(minutes=60), "Local")
    session(row, -120, connector_id=2).record_reading(9000, MIDNIGHT - timedelta(minutes=1))
    assert since_midnight() == 0


def test_takes_a_session_over_midnight_by_its_reading_there(row: ChargePoint) -> None:
    over = session(row, -600)
    measure(over, -300, 11_000)
    measure(over, 0, 11_000)
    measure(over, 60, 12_500)
    over.stop(12_600, MIDNIGHT + timedelta(hours=8), "Local")
    assert since_midnight() == 1600


def test_takes_its_register_to_have_risen_evenly_between_the_readings_around(row: ChargePoint) -> None:
    over = session(row, -600)
    measure(over, -45, 2000)
    measure(over, 15, 2600)
    measure(over, 30, 3000)
    assert since_midnight() == pytest.approx(3000 - 2450)


def test_takes_its_ends_where_nothing_was_measured(row: ChargePoint) -> None:
    session(row, -60).stop(5000, MIDNIGHT + timedelta(minutes=180), "Local")
    assert since_midnight() == pytest.approx(3000)


def test_takes_its_ends_where_the_readings_around_tell_no_energy(row: ChargePoint) -> None:
    over = session(row, -60)
    measure(over, -5, {"value": "230", "measurand": "Voltage"})
    measure(over, 5, {"value": "230", "measurand": "Voltage"})
    over.stop(5000, MIDNIGHT + timedelta(minutes=180), "Local")
    assert since_midnight() == pytest.approx(3000)


def test_adds_up_phases_that_came_one_by_one(row: ChargePoint) -> None:
    over = session(row, -60)
    for phase in ("L1", "L2", "L3"):
        measure(over, 0, {"value": "700", "phase": phase})
    over.stop(3000, MIDNIGHT + timedelta(minutes=60), "Local")
    assert since_midnight() == pytest.approx(900)


def test_gives_no_session_more_than_it_has(row: ChargePoint) -> None:
    over = session(row, -60)
    measure(over, -1, {"value": "0"})
    over.stop(3000, MIDNIGHT + timedelta(minutes=60), "Local")
    assert since_midnight() == 2000


@pytest.mark.parametrize(
    ("zone", "clock", "midnight"),
    [
        ("UTC", "2024-03-10T15:00:00", "2024-03-10T00:00:00"),
        ("Europe/Berlin", "2024-03-10T15:00:00", "2024-03-09T23:00:00"),
        ("Europe/Berlin", "2024-03-10T23:30:00", "2024-03-10T23:00:00"),
        ("America/Los_Angeles", "2024-03-10T05:00:00", "2024-03-09T08:00:00"),
        ("America/Los_Angeles", "2024-03-10T20:00:00", "2024-03-10T08:00:00"),
        ("Pacific/Kiritimati", "2024-03-10T15:00:00", "2024-03-10T10:00:00"),
    ],
)
def test_begins_the_day_where_the_caller_is(
    monkeypatch: pytest.MonkeyPatch, zone: str, clock: str, midnight: str
) -> None:
    monkeypatch.setattr("chargepoints.api.fleet.now", lambda: datetime.fromisoformat(f"{clock}+00:00"))
    assert last_midnight(ZoneInfo(zone)) == datetime.fromisoformat(f"{midnight}+00:00")


def test_tells_the_energy_of_the_callers_day(api: Api, row: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargepoints.api.fleet.now", lambda: MIDNIGHT + timedelta(hours=12))
    session(row, -30).stop(2000, MIDNIGHT - timedelta(minutes=10), "Local")
    assert summary(api)["total_energy_today_kwh"] == 0
    assert summary(api, timezone="Europe/Berlin")["total_energy_today_kwh"] == 1


@pytest.mark.parametrize(
    "zone", ["Mars", "", "../UTC", "/etc/passwd", "Europe", "\x00", "x" * 3000, "UTC+1", "ü", "Europe/Berlin ", "."]
)
def test_refuses_a_time_zone_that_there_is_not(api: Api, zone: str) -> None:
    error = error_of(api.get("/cpo/fleet/summary", {"timezone": zone}), 400, "validation_error")
    assert list(error["details"]) == ["timezone"]


def test_needs_as_few_queries_for_many_as_for_one(api: Api) -> None:
    wind_clock()
    for number in range(20):
        charge_point = online(make(api, f"CP-{number}", "Available", "Charging"))
        over = session(charge_point, -60, at=last_midnight(UTC))
        over.record_reading(3000, timezone.now())
    summary(api)
    with CaptureQueriesContext(connection) as queries:
        assert summary(api)["active_sessions"] == 20
    assert len(queries) <= 9, "one for the key, four for the fleet, and four for the energy"


def test_counts_only_what_a_limited_key_reaches(api: Api) -> None:
    for identity in ("OURS", "THEIRS"):
        charge_point = online(make(api, identity, "Available", "Charging"))
        session(charge_point, 0, at=timezone.now()).record_reading(2000, timezone.now())
    ApiKey.objects.filter(pk=api.row.pk).update(allowed_charge_points=["OURS"])
    told = summary(api)
    assert (told["total_chargers"], told["online"], told["charging"], told["active_sessions"]) == (1, 1, 1, 1)
    assert told["total_energy_today_kwh"] == 1
