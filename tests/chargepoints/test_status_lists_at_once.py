"""The lists of charge points while several write, count and read at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from chargepoints.database import snapshot
from chargepoints.models import ChargePoint, ListingChange, listing
from tests.api import Api, make_api, make_charge_point
from tests.conftest import blocked

from .lists import assert_true, move, rename, report, report_together

pytestmark = pytest.mark.django_db(transaction=True)
several_writers = pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")

Work = Callable[[ChargePoint], Any]


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.fixture
def charge_point(api: Api) -> ChargePoint:
    """Two of its connectors charge, one is faulted."""
    make_api("Other")
    row = make_charge_point(api.organization, "CP-1")
    report(row, (1, "Charging"), (2, "Charging"), (3, "Faulted"))
    return row


@several_writers
@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            lambda row: report(row, (1, "Available")), lambda row: report(row, (2, "Available")), id="both leave"
        ),
        pytest.param(
            lambda row: report(row, (1, "Available"), (2, "Available")),
            lambda row: report(row, (3, "Charging")),
            id="one leaves and one enters",
        ),
        pytest.param(
            lambda row: report(row, (4, "Reserved")), lambda row: report(row, (5, "Reserved")), id="both enter"
        ),
        pytest.param(
            lambda row: row.connectors.filter(connector_id=1).delete(),
            lambda row: report(row, (2, "Faulted")),
            id="one is deleted and one leaves",
        ),
        pytest.param(
            lambda row: move(row, "Other"),
            lambda row: report(row, (1, "Available"), (2, "Reserved")),
            id="a status after a move",
        ),
        pytest.param(
            lambda row: report(row, (1, "Available"), (2, "Reserved")),
            lambda row: move(row, "Other"),
            id="a move after a status",
        ),
        pytest.param(
            lambda row: rename(row, "AP-1"), lambda row: report(row, (1, "Reserved")), id="a status after a name"
        ),
    ],
)
async def test_decides_by_what_the_first_of_two_has_left(
    charge_point: ChargePoint, elsewhere: Any, first: Work, second: Work
) -> None:
    with transaction.atomic():
        first(charge_point)
        done = elsewhere(second, charge_point)
        await blocked()
    done.result(10)
    assert_true()


@several_writers
def test_lets_nobody_wait_for_another_charge_point_of_the_organization(
    api: Api, charge_point: ChargePoint, elsewhere: Any
) -> None:
    other = make_charge_point(api.organization, "CP-2")
    with transaction.atomic():
        report(charge_point, (1, "Available"), (2, "Available"))
        elsewhere(report, other, (1, "Charging"), (2, "Available")).result(10)
    assert_true()


@several_writers
def test_counts_a_list_while_somebody_changes_it(
    charge_point: ChargePoint, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CHANGES", 0)
    with transaction.atomic():
        report(charge_point, (1, "Faulted"), (2, "Available"))
        listed = elsewhere(count_all).result(10)
        assert listed >= 3
    assert_true()
    count_all()
    assert_true()


def count_all() -> int:
    """Count each list that there is once."""
    lists = set(ListingChange.objects.values_list("organization", "status"))
    return sum(listing.count(*of_list) for of_list in lists)


@several_writers
def test_leaves_a_count_to_who_has_begun_it(
    charge_point: ChargePoint, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CHANGES", 0)
    with transaction.atomic():
        assert ListingChange.objects.sum_up()
        assert elsewhere(ListingChange.objects.sum_up).result(10) == 0
    assert_true()


def test_stays_true_while_statuses_and_counts_are_written(
    api: Api, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "LINES", 2)
    rows = [make_charge_point(api.organization, f"CP-{number}") for number in range(6)]

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            for row in sorted(chance.sample(rows, 3), key=lambda row: row.pk):
                report(row, (chance.randint(0, 2), chance.choice(("Available", "Charging", "Faulted"))))

    writing = [elsewhere(write, seed) for seed in range(3)]
    counts = 0
    while not all(each.done() for each in writing):
        counts += count_all()
    for each in writing:
        each.result()
    assert counts
    assert_true()


@several_writers
def test_lets_batches_of_the_same_charge_points_wait_in_line(api: Api, elsewhere: Any) -> None:
    """Whatever order their messages are in, and whichever of the connectors change."""
    rows = [make_charge_point(api.organization, f"CP-{number}") for number in range(8)]

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            told = [(row, number, chance.choice(("Available", "Charging"))) for row in rows for number in (seed, 3)]
            report_together(chance.sample(told, 12))

    for each in [elsewhere(write, seed) for seed in range(3)]:
        each.result(60)
    assert_true()


def test_shows_a_page_and_its_total_as_of_one_moment(api: Api, elsewhere: Any) -> None:
    rows = [make_charge_point(api.organization, f"CP-{number}") for number in range(3)]
    for row in rows:
        report(row, (1, "Faulted"))

    def change_all(execute: Any, sql: str, *rest: Any) -> Any:
        """Once the total is read."""
        result = execute(sql, *rest)
        while rows and "chargepoints_listingchange" in sql:
            elsewhere(report, rows.pop(), (1, "Available")).result(30)
        return result

    with connection.execute_wrapper(change_all):
        body = api.get("/charge_points/status", {"status": "Faulted"}).json()
    assert not rows
    assert body["total"] == len(body["charge_points"]) == 3
    assert {row["connectors"][0]["status"] for row in body["charge_points"]} == {"Faulted"}
    assert api.get("/charge_points/status", {"status": "Faulted"}).json()["total"] == 0


def test_ends_with_what_was_read_whatever_happens(charge_point: ChargePoint, elsewhere: Any) -> None:
    with pytest.raises(ZeroDivisionError), snapshot():
        assert charge_point.connectors.count() == 3
        assert 1 / 0
    elsewhere(report, charge_point, (4, "Charging")).result(30)
    assert charge_point.connectors.count() == 4
    report(charge_point, (5, "Charging"))
    assert_true()
