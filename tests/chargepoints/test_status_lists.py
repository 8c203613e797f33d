"""The lists of charge points that the database keeps: true and counted right, whatever is written and however."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, migrations, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from chargepoints.migrations import _listing
from chargepoints.migrations._listing import TRIGGERS, KeepLists, KeepListsByStatement, LeaveLists
from chargepoints.models import ChargePoint, Connector, Listing, ListingChange, listing
from tests.api import Api, make_api, make_charge_point

from .lists import assert_true, due, kept, move, rename, report, report_together, sum_up

pytestmark = pytest.mark.django_db
STATUSES = ("", "Available", "Charging", "Faulted")


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.fixture
def charge_point(api: Api) -> ChargePoint:
    """Of its four connectors one says nothing, two charge, one is faulted; there are two other charge points."""
    row = make_charge_point(api.organization, "CP-2")
    for number, status in enumerate(("", "Charging", "Charging", "Faulted")):
        Connector.objects.create(charge_point=row, connector_id=number, status=status)
    report(make_charge_point(api.organization, "CP-1"), (1, "Faulted"))
    make_charge_point(make_api("Other").organization, "CP-3")
    return row


def become_the_charge_point_itself(row: ChargePoint) -> None:
    row.connectors.filter(connector_id=0).delete()
    row.connectors.filter(connector_id=3).update(status="Available", connector_id=0)


def give_away(row: ChargePoint) -> None:
    row.connectors.filter(connector_id=3).update(charge_point=ChargePoint.objects.get(identity="CP-3"))


def import_many(row: ChargePoint) -> None:
    rows = [ChargePoint(organization=row.organization, identity=f"NEW-{number}") for number in range(5)]
    made = ChargePoint.objects.bulk_create(rows)
    Connector.objects.bulk_create(Connector(charge_point=new, connector_id=1, status="Charging") for new in made)


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda row: report(row, (1, "Charging")), id="a report that changes nothing"),
        pytest.param(lambda row: report(row, (1, "Available")), id="a report of one of two"),
        pytest.param(lambda row: report(row, (1, "Available"), (2, "Available")), id="reports of both"),
        pytest.param(lambda row: (report(row, (1, "Available")), report(row, (1, "Faulted"))), id="two reports of one"),
        pytest.param(lambda row: report(row, (4, "Reserved"), (5, "Available")), id="first reports"),
        pytest.param(lambda row: report(row, (4, "Reserved"), (5, "Reserved")), id="first reports of the same"),
        pytest.param(lambda row: report(row, (1, "Reserved"), (2, "Reserved")), id="both into another"),
        pytest.param(lambda row: report(row, (3, "Charging"), (1, "Faulted")), id="two that change places"),
        pytest.param(
            lambda row: report(row, (1, "Available"), (2, "Available"), (3, "Charging")), id="another in their place"
        ),
        pytest.param(lambda row: report(row, (0, "Unavailable")), id="a report of the charge point itself"),
        pytest.param(lambda row: report(row, (0, "Available")), id="a report that the charge point itself is well"),
        pytest.param(lambda row: row.connectors.update(status="Available"), id="the same for all"),
        pytest.param(lambda row: row.connectors.update(status=""), id="nothing for all"),
        pytest.param(lambda row: row.connectors.update(error_code="OtherError"), id="an error for all"),
        pytest.param(lambda row: row.change_availability(7, "Inoperative"), id="an availability before any report"),
        pytest.param(become_the_charge_point_itself, id="another number"),
        pytest.param(give_away, id="another charge point's connector"),
        pytest.param(lambda row: row.connectors.get(connector_id=3).delete(), id="a deleted connector"),
        pytest.param(lambda row: row.connectors.filter(connector_id=1).delete(), id="one of two deleted"),
        pytest.param(lambda row: row.connectors.all().delete(), id="all connectors deleted"),
        pytest.param(lambda row: row.delete(), id="a deleted charge point"),
        pytest.param(lambda row: row.organization.delete(), id="a deleted organization"),
        pytest.param(lambda row: move(row, "Other"), id="another organization"),
        pytest.param(lambda row: rename(row, "AP-1"), id="another identity"),
        pytest.param(import_many, id="many new ones"),
    ],
)
def test_keeps_lists_and_totals(charge_point: ChargePoint, write: Callable[[ChargePoint], Any]) -> None:
    assert_true()
    write(charge_point)
    assert_true()


@pytest.mark.parametrize("seed", range(4))
def test_keeps_them_through_batches_of_many(api: Api, seed: int) -> None:
    """Some connectors of a batch are new, some stay as they are, some leave a status that others enter."""
    chance = random.Random(seed)
    owners = [api.organization, make_api("Other").organization]
    rows = [make_charge_point(owners[number % 2], f"CP-{number:02}") for number in range(12)]
    for _ in range(15):
        told = [(row, number, chance.choice(STATUSES[1:])) for row in rows for number in range(3)]
        report_together(chance.sample(told, 20))
        assert_true()
        Connector.objects.filter(pk__in=chance.sample([*Connector.objects.values_list("pk", flat=True)], 3)).delete()
        assert_true()


def test_undoes_what_is_not_committed(charge_point: ChargePoint) -> None:
    before = due()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        report(charge_point, (1, "Faulted"), (2, "Available"))
        assert 1 / 0
    assert due() == before
    assert_true()


def test_writes_nothing_where_no_list_changes(charge_point: ChargePoint) -> None:
    before = set(ListingChange.objects.values_list("pk", flat=True))
    report(charge_point, (1, "Charging"), (2, "Charging"), (3, "Faulted"))
    report(charge_point, (1, "Faulted"))
    assert set(ListingChange.objects.values_list("pk", flat=True)) == before


def pages_of(api: Api, status: str, per_page: int) -> tuple[list[str], int]:
    """Who is on the pages of a list, one after the other to the first empty one, and the total."""
    query: dict[str, Any] = {"status": status} if status else {}
    found: list[str] = []
    for page in range(1, 1_000):
        body = api.get("/charge_points/status", {**query, "page": page, "per_page": per_page}).json()
        if not body["charge_points"]:
            break
        found += [row["charge_point_id"] for row in body["charge_points"]]
    return found, body["total"]


@pytest.mark.parametrize("seed", range(6))
def test_gives_the_same_pages_however_it_has_counted(api: Api, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Between landmarks that are close together, on pages that begin before, at and behind them."""
    chance = random.Random(seed)
    monkeypatch.setattr(listing, "LINES", 3)
    monkeypatch.setattr(listing, "CHANGES", 2)
    rows = [make_charge_point(api.organization, f"CP-{number:02}") for number in range(20)]
    for _ in range(6):
        for row in chance.sample(rows, 12):
            report(row, (chance.randint(0, 2), chance.choice(STATUSES[1:])))
        if chance.random() < 0.6:
            sum_up()
        rows.pop(chance.randrange(len(rows))).delete()
        assert_true()
        for status in STATUSES:
            expected = due().get((api.organization.pk, status), [])
            assert pages_of(api, status, chance.randint(1, 4)) == (expected, len(expected))


def test_adds_up_few_changes_after_many(charge_point: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CHANGES", 10)
    for _ in range(20):
        report(charge_point, (1, "Available"))
        report(charge_point, (1, "Charging"))
    changes = ListingChange.objects.filter(organization=charge_point.organization)
    assert changes.count() > 40
    sum_up()
    assert changes.count() <= 10
    assert_true()


def test_sets_right_what_was_counted_wrong(charge_point: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by somebody who switches triggers off."""
    monkeypatch.setattr(listing, "CHANGES", 1)
    changes = ListingChange.objects.filter(organization=charge_point.organization, status="")
    changes.update(change=-3)
    assert (changes.count(), changes.extent("", 0).total) == (2, -6)
    sum_up()
    assert_true()


@pytest.mark.django_db(transaction=True)
def test_lists_and_counts_the_fleets_that_were_there_before() -> None:
    executor = MigrationExecutor(connection)
    latest = executor.loader.graph.leaf_nodes()
    old = executor.migrate([("chargepoints", "0006_status_list")]).apps
    owner = old.get_model("apikeys", "Organization").objects.create(name="Old")
    for number in range(3):
        row = old.get_model("chargepoints", "ChargePoint").objects.create(organization=owner, identity=f"OLD-{number}")
        for connector_id, status in enumerate(("Available", "Charging", "Charging", "Faulted" if number else "")):
            row.connectors.create(connector_id=connector_id, status=status)
    MigrationExecutor(connection).migrate(latest)
    everyone = ["OLD-0", "OLD-1", "OLD-2"]
    assert kept() == {(owner.pk, ""): everyone, (owner.pk, "Charging"): everyone, (owner.pk, "Faulted"): everyone[1:]}
    assert_true()
    report(ChargePoint.objects.get(identity="OLD-1"), (1, "Available"), (3, "Available"))
    assert_true()


def test_has_every_trigger_after_all_migrations() -> None:
    """Those of a table that is made anew on SQLite are gone with it."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        assert {name for (name,) in cursor.fetchall()} >= {trigger.name for trigger in TRIGGERS}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite looks at each row")
@pytest.mark.django_db(transaction=True)
def test_replaces_triggers_that_look_at_each_row(charge_point: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    by_statement = _listing.BY_STATEMENT
    monkeypatch.setattr(_listing, "BY_STATEMENT", {})
    state = MigrationLoader(connection).project_state()
    with connection.schema_editor() as editor:
        LeaveLists().database_forwards("chargepoints", editor, state, state)
        KeepLists().database_forwards("chargepoints", editor, state, state)
    assert by_statement.keys() <= triggers("tgtype & 1 = 1")
    monkeypatch.undo()
    with connection.schema_editor() as editor:
        KeepListsByStatement().database_forwards("chargepoints", editor, state, state)
    assert triggers("tgtype & 1 = 0") == by_statement.keys()
    report(charge_point, (1, "Available"), (3, "Charging"))
    assert_true()


def triggers(where: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND {where}")
        return {name for (name,) in cursor.fetchall()}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("model", [ChargePoint, Connector, Listing])
def test_lets_a_migration_make_a_table_anew(charge_point: ChargePoint, model: type[models.Model]) -> None:
    """There and back, as SQLite does it for a longer column."""
    name = "status" if model is Connector else "identity"
    column = model._meta.get_field(name).clone()
    column.max_length = 90
    longer = migrations.AlterField(model.__name__, name, column)
    before = MigrationLoader(connection).project_state()
    after = before.clone()
    longer.state_forwards("chargepoints", after)
    operations: list[Any] = [LeaveLists(), longer, KeepLists()]
    with connection.schema_editor() as editor:
        for operation in operations:
            operation.database_forwards("chargepoints", editor, before, after)
    report(charge_point, (2, "Faulted"))
    assert_true()
    with connection.schema_editor() as editor:
        for operation in reversed(operations):
            operation.database_backwards("chargepoints", editor, after, before)
    report(charge_point, (1, "Available"), (3, "Charging"))
    make_charge_point(charge_point.organization, "CP-9").delete()
    assert_true()
