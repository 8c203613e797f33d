"""What meter values need to know of transactions, and leave on them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from apikeys.querysets import ChargePointOwnedQuerySet
from apikeys.statements import among, prepared

from ..json_text import listed
from ..statements import CHARGING, MEASURED, NAMED, RECORD_ALL_LATEST, RECORD_LATEST

if TYPE_CHECKING:
    from .transaction import Transaction  # noqa: F401  named in a string

MAXIMUM_TRANSACTION_ID = 2**31 - 1


class Measurable(NamedTuple):
    """A transaction that meter values may measure; `told_at`: when its readings were last told of."""

    number: int
    charge_point_id: int
    connector_id: int
    told_at: datetime | None


class Latest(NamedTuple):
    """A reading of a transaction's energy register."""

    transaction_id: int
    wh: int
    moment: datetime


def newest(readings: Collection[Latest]) -> list[Latest]:
    """The newest of each transaction.

    In one order everywhere, so that two processes that store the same do not wait for each other.
    """
    in_order = sorted(readings, key=lambda reading: (reading.transaction_id, reading.moment, reading.wh))
    return [*{reading.transaction_id: reading for reading in in_order}.values()]


def measurable(where: str, ids: Collection[int]) -> list[Measurable]:
    """The transactions that one of the conditions beside statements.MEASURED finds by these ids."""
    if not ids:
        return []
    one_of, named = among(ids)
    with prepared() as cursor:
        cursor.execute(MEASURED.format(where=where.format(among=one_of)), [named])
        rows = cursor.fetchall()
    return [Measurable(number, pk, connector_id, in_utc(told_at)) for number, pk, connector_id, told_at in rows]


def in_utc(stored: datetime | None) -> datetime | None:
    """The time in a column, which SQLite tells without its zone."""
    return stored if stored is None else stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored


class MeasuredQuerySet(ChargePointOwnedQuerySet["Transaction"]):
    def record_latest(self, readings: Collection[Latest]) -> None:
        """Keep readings of the energy register that are newer than those known; an inference follows them."""
        rows = newest(readings)
        if connection.vendor == "postgresql":
            with prepared() as cursor:
                cursor.execute(RECORD_ALL_LATEST, [listed(rows)])
            return
        adapt = connection.ops.adapt_datetimefield_value
        told = [(row.wh, adapt(row.moment), row.transaction_id) for row in rows]
        with connection.cursor() as cursor:
            cursor.executemany(RECORD_LATEST, [(wh, at, wh, at, pk, at) for wh, at, pk in told])

    def named(self, numbers: Collection[int]) -> list[Measurable]:
        """Those of these numbers, as meter values want them."""
        return measurable(NAMED, [number for number in numbers if 1 <= number <= MAXIMUM_TRANSACTION_ID])

    def charging(self, charge_points: Collection[int]) -> list[Measurable]:
        """The active ones at the connectors of these charge points, as meter values want them."""
        return measurable(CHARGING, charge_points)
