"""Statements that a connection keeps parsed and planned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import Error, connection, transaction
from django.test.utils import CaptureQueriesContext

from apikeys.models import ApiKey
from apikeys.statements import among, prepared
from chargepoints.models import ChargePoint


def count(*pks: int) -> int:
    one_of, named = among(pks)
    with prepared() as cursor:
        cursor.execute(f"SELECT count(*) FROM chargepoints_chargepoint WHERE id {one_of}", [named])
        return cursor.fetchone()[0]


def kept() -> list[int]:
    """How often the plan of each statement of ours that is kept has been used again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT generic_plans FROM pg_prepared_statements WHERE statement LIKE %s", ["SELECT count(*)%"])
        return [plans for (plans,) in cursor.fetchall()]


@pytest.mark.django_db
def test_takes_any_number_of_integers() -> None:
    assert [count(), count(1), count(2**40), count(*range(3_000))] == [0, 0, 0, 0]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps statements by itself")
@pytest.mark.django_db(transaction=True)
def test_keeps_a_statement_until_a_transaction_fails() -> None:
    assert [count(1), count(2**40), kept()] == [0, 0, [0]]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError(count(3))
    assert [kept(), count(4), kept()] == [[], 0, [0]]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps statements by itself")
@pytest.mark.django_db(transaction=True)
def test_keeps_the_plan_of_a_statement_for_one_of_its_rows() -> None:
    assert [count(number) for number in range(10)] == [0] * 10
    assert kept() == [5]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite makes a cursor at no cost")
@pytest.mark.django_db
def test_keeps_its_cursor_with_the_connection() -> None:
    used = []
    for _ in range(2):
        with prepared() as cursor, prepared() as within:
            used.append((cursor.cursor, within.cursor))
    assert used[0][0] is used[1][0]
    assert used[0][1] is not used[0][0]


@pytest.mark.django_db
def test_gives_another_cursor_to_who_asks_within() -> None:
    with prepared() as first:
        first.execute("SELECT 1")
        with prepared() as second:
            second.execute("SELECT 2")
            assert [first.fetchall(), second.fetchall()] == [[(1,)], [(2,)]]


@pytest.mark.django_db
def test_goes_on_after_a_statement_that_failed() -> None:
    with pytest.raises(Error), transaction.atomic(), prepared() as cursor:
        cursor.execute("SELECT * FROM nothing")
    assert count(1) == 0


@pytest.mark.django_db
def test_tells_what_it_asks_where_queries_are_looked_at() -> None:
    count(1)
    with CaptureQueriesContext(connection) as queries:
        count(1)
    assert [query["sql"].startswith("SELECT count(*)") for query in queries] == [True]


@pytest.mark.parametrize("identity", ["CP 1", 'CP,"{}\\', "CP-'%s", "Säule"])
@pytest.mark.django_db
def test_finds_a_charge_point_whatever_it_is_called(make_charge_point: Callable[..., Any], identity: str) -> None:
    row = make_charge_point(identity)
    assert ChargePoint.objects.named_to_command({identity, "CP", "CP-\x00", "CP-\ud800"}) == {identity: row}
    assert ChargePoint.objects.named_to_command({"CP-\x00"}) == {}


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite knows no length of texts")
@pytest.mark.django_db
def test_outlives_a_migration_that_widens_a_column(
    make_key: Callable[..., str], make_charge_point: Callable[..., Any]
) -> None:
    key, row = make_key(), make_charge_point()
    for wide in (False, True):
        with connection.cursor() as cursor:
            if wide:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("ALTER TABLE apikeys_apikey ALTER COLUMN name TYPE varchar(300)")
                cursor.execute("ALTER TABLE chargepoints_chargepoint ALTER COLUMN channel_name TYPE varchar(300)")
        assert ApiKey.objects.find(key) is not None
        assert ChargePoint.objects.named_to_command({row.identity}) == {row.identity: row}
