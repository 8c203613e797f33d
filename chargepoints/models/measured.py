"""What meter values need to know of transactions, and leave on them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from django.db import connection

from apikeys.querysets import ChargePointOwnedQuerySet

from ..statements import CHARGING, MEASURED, NAMED, RECORD_ALL_LATEST, RECORD_LATEST

if TYPE_CHECKING:
    from .transaction import Transaction  # noqa: F401  named in a string

MAXIMUM_TRANSACTION_ID = 2**31 - 1


class Measurable(NamedTuple):
    """A transaction that meter values may measure; `is_due`: nobody has been told of it since the time asked for."""

    number: int
    charge_point_id: int
    connector_id: int
    is_due: bool


def measurable(where: str, ids: Collection[int], told_before: datetime) -> list[Measurable]:
    """The transactions that one of the conditions beside statements.MEASURED finds by these ids."""
    if not ids:
        return []
    statement = MEASURED.format(where=where.format(ids=", ".join(["%s"] * len(ids))))
    with connection.cursor() as cursor:
        cursor.execute(statement, [connection.ops.adapt_datetimefield_value(told_before), *ids])
        return [Measurable(*row) for row in cursor.fetchall()]


class MeasuredQuerySet(ChargePointOwnedQuerySet["Transaction"]):
    def record_latest(self, readings: list[tuple[int, int, datetime]]) -> None:
        """Keep readings of the energy register, each (transaction, Wh, measured at), that are newer than those known.

        An inference follows them.
        """
        # In one order everywhere, so that two processes that store the same do not wait for each other.
        newest = {
            pk: (wh, at) for pk, wh, at in sorted(readings, key=lambda reading: (reading[0], reading[2], reading[1]))
        }
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                energies, moments = zip(*newest.values(), strict=True)
                cursor.execute(RECORD_ALL_LATEST, [[*newest], [*energies], [*moments]])
            else:
                adapt = connection.ops.adapt_datetimefield_value
                rows = ((pk, wh, adapt(at)) for pk, (wh, at) in newest.items())
                cursor.executemany(RECORD_LATEST, [(wh, at, wh, at, pk, at) for pk, wh, at in rows])

    def named(self, numbers: Collection[int], told_before: datetime) -> list[Measurable]:
        """Those of these numbers, as meter values want them."""
        return measurable(NAMED, [number for number in numbers if 1 <= number <= MAXIMUM_TRANSACTION_ID], told_before)

    def charging(self, charge_points: Collection[int], told_before: datetime) -> list[Measurable]:
        """The active ones at the connectors of these charge points, as meter values want them."""
        return measurable(CHARGING, charge_points, told_before)
