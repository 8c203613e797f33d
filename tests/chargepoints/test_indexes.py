"""Every index is written with every row: none repeats the beginning of another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

BEFORE = [("chargepoints", "0004_received_at_by_database"), ("ocpp16", "0003_command_created_at_by_database")]
# To count an organization's charge points in it takes an eighth of the pages of the one on (organization, identity).
NARROW = ("chargepoints_chargepoint", ("organization_id",))


def whole_indexes(table: str) -> list[tuple[str, ...]]:
    """The columns of each index over all rows of the table; those for LIKE are in another order."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
        if connection.vendor == "postgresql":
            cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE '%% WHERE %%'")
        partial = {name for (name,) in cursor.fetchall()}
    indexes = {name: row for name, row in found.items() if row["index"] or row["unique"] or row["primary_key"]}
    kept = {name: row for name, row in indexes.items() if name not in partial and not name.endswith("_like")}
    # Of expressions there are no columns to compare.
    return [tuple(row["columns"]) for row in kept.values() if row["columns"]]


def repeated(table: str) -> list[tuple[str, tuple[str, ...]]]:
    indexes = whole_indexes(table)
    begin = [one for one in indexes for other in indexes if len(one) < len(other) and other[: len(one)] == one]
    return [(table, one) for one in begin]


@pytest.mark.django_db
def test_no_index_repeats_the_beginning_of_another() -> None:
    models = [model for label in ("chargepoints", "ocpp16") for model in apps.get_app_config(label).get_models()]
    assert [index for model in models for index in repeated(model._meta.db_table)] == [NARROW]


@pytest.fixture
def migrated_back() -> Iterator[Any]:
    """The state of the models before the indexes were sorted out; afterwards all is as it was."""
    migrations = MigrationExecutor(connection)
    latest = migrations.loader.graph.leaf_nodes()
    yield migrations.migrate(BEFORE).apps
    migrations = MigrationExecutor(connection)
    migrations.migrate(latest)


@pytest.mark.django_db(transaction=True)
def test_sorts_out_the_indexes_of_tables_with_rows(migrated_back: Any) -> None:
    owner = migrated_back.get_model("apikeys", "Organization").objects.create(name="Acme")
    charge_point = migrated_back.get_model("chargepoints", "ChargePoint").objects.create(
        organization=owner, identity="CP-1"
    )
    message = migrated_back.get_model("ocpp16", "Message").objects.create(
        charge_point=charge_point, direction="in", kind=2, frame="[]", at=timezone.now()
    )
    assert ("ocpp16_message", ("charge_point_id",)) in repeated("ocpp16_message")
    migrations = MigrationExecutor(connection)
    migrations.migrate(migrations.loader.graph.leaf_nodes())
    assert repeated("ocpp16_message") == []
    assert list(apps.get_model("ocpp16", "Message").objects.values_list("pk", "charge_point__identity")) == [
        (message.pk, "CP-1")
    ]
