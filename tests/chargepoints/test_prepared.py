"""Statements that a connection keeps parsed and planned."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from chargepoints.database import AMONG, listed, prepared

ONE_OF = f"SELECT count(*) FROM chargepoints_chargepoint WHERE id {AMONG[connection.vendor]}"


def count(*pks: int) -> int:
    with prepared() as cursor:
        cursor.execute(ONE_OF, [listed(pks)])
        return cursor.fetchone()[0]


def kept() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE %s", ["SELECT count(*)%"])
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_takes_any_number_of_integers() -> None:
    assert [count(), count(1), count(*range(3_000))] == [0, 0, 0]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite keeps statements by itself")
@pytest.mark.django_db(transaction=True)
def test_keeps_a_statement_until_a_transaction_fails() -> None:
    assert [count(1), count(2), kept()] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError(count(3))
    assert [kept(), count(4), kept()] == [0, 0, 1]
