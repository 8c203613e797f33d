"""How charge points end transactions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import connection

from apikeys.statements import places, read

from ..statements import STOP, STOP_ALL, TO_BE_STOPPED
from .measured import MAXIMUM_TRANSACTION_ID, MeasuredQuerySet

if TYPE_CHECKING:
    from .transaction import Transaction

# What the end of a transaction tells of it.
STOPPABLE = ("id", "charge_point_id", "connector_id", "id_tag", "started_at", "meter_start")


class Stop(NamedTuple):
    """How a charge point says that a transaction ended."""

    meter_stop: int
    stopped_at: datetime
    received_at: datetime
    reason: str
    id_tag: str


class StoppedQuerySet(MeasuredQuerySet):
    def to_be_stopped(self, numbers: Collection[int]) -> Iterable[Transaction]:
        """Those of these numbers, with what their end needs.

        `was_guessed_at`: the stop of another was taken for its own; `ends_more`: other things may end with it.
        """
        possible = [number for number in numbers if 1 <= number <= MAXIMUM_TRANSACTION_ID]
        if not possible:
            return []
        statement = TO_BE_STOPPED.format(columns=", ".join(STOPPABLE), ids=places(possible))
        return read(self.model, STOPPABLE, statement, possible, beside=("was_guessed_at", "ends_more"))

    def stop(self, stops: dict[int, Stop]) -> set[int]:
        """Close these on the charge points' word, also over an inference; returns those that had no stop before."""
        if not stops:
            return set()
        stops = dict(sorted(stops.items()))  # in one order everywhere, as rows are locked in it
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(STOP_ALL, [*map(list, zip(*stops.values(), strict=True)), [*stops]])
                return {pk for (pk,) in cursor.fetchall()}
            return {pk for pk, stop in stops.items() if self._stop(cursor, pk, stop)}

    def _stop(self, cursor: Any, pk: int, stop: Stop) -> bool:
        adapt = connection.ops.adapt_datetimefield_value
        times = adapt(stop.stopped_at), adapt(stop.received_at)
        cursor.execute(STOP, [stop.meter_stop, *times, stop.reason, stop.id_tag, pk])
        return bool(cursor.rowcount)
