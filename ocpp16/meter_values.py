"""Inbound: meter values, which come by themselves or with the stop of their transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from chargepoints.fingerprints import fingerprint
from chargepoints.models import MeterValue, Reading, Transaction
from chargepoints.models.transaction import MAXIMUM_TRANSACTION_ID
from chargepoints.readings import energy_wh

from .received import Received

# What some charge points send in MeterValues outside a transaction, or before they know its id.
NO_TRANSACTION = (None, 0, -1)
# How far a clock may be ahead of ours; a reading from beyond would stay the newest for as long.
CLOCK_AHEAD = timedelta(minutes=5)
# How often a session's readings are told of: one that comes every minute, or a little sooner, each time.
TELL_INTERVAL = timedelta(seconds=50)


class Measured(NamedTuple):
    """The readings of one message, and the newest of its transaction's energy register: (transaction, Wh, moment)."""

    readings: list[Reading]
    latest: tuple[int, int, datetime] | None


def meter_values(received: Received) -> dict[str, Any]:
    received.integer("connectorId")
    received.batch.store_later(store_meter_values, received)
    return {}


def store_meter_values(batch: list[Received]) -> None:
    measured = measured_transactions(batch)
    record([read(each, "meterValue", measured.of(each), each.payload["connectorId"]) for each in batch])
    measured.tell(batch[-1].received_at)


@dataclass
class MeasuredTransactions:
    """The transactions that messages may measure: by number, by place of the active ones, and when last told of."""

    owners: dict[int, int] = field(default_factory=dict)
    charging: dict[tuple[int, int], int] = field(default_factory=dict)
    told_at: dict[int, datetime | None] = field(default_factory=dict)
    measured: set[int] = field(default_factory=set)

    def of(self, received: Received) -> int | None:
        """The transaction that a message measures: the one named, or the active one of the connector if none is."""
        number, charge_point_id = received.payload.get("transactionId"), received.charge_point.pk
        if number in NO_TRANSACTION:
            number = self.charging.get((charge_point_id, received.payload["connectorId"]))
        elif self.owners.get(number) != charge_point_id:
            received.findings["MeterValues.transactionId"] = f"unknown transaction {number}"
            return None
        if number is not None:
            self.measured.add(number)
        return number

    def tell(self, at: datetime) -> None:
        """Have those told that were measured, unless they have just been."""
        last = ((number, self.told_at[number]) for number in self.measured)
        if due := [number for number, told_at in last if told_at is None or at - told_at >= TELL_INTERVAL]:
            Transaction.objects.tell(due, at)


def measured_transactions(batch: list[Received]) -> MeasuredTransactions:
    found = MeasuredTransactions()
    named = {each.payload.get("transactionId") for each in batch}
    numbers = [number for number in named if number is not None and 1 <= number <= MAXIMUM_TRANSACTION_ID]
    silent = {each.charge_point.pk for each in batch if each.payload.get("transactionId") in NO_TRANSACTION}
    known = Transaction.objects.filter(pk__in=numbers).order_by() if numbers else Transaction.objects.none()
    for number, charge_point_id, told_at in known.values_list("pk", "charge_point_id", "told_at"):
        found.owners[number], found.told_at[number] = charge_point_id, told_at
    active = Transaction.objects.active().filter(charge_point__in=silent, connector_id__gt=0).order_by()
    places = active.values_list("charge_point_id", "connector_id", "pk", "told_at") if silent else ()
    for charge_point_id, connector_id, number, told_at in places:
        found.charging[charge_point_id, connector_id], found.told_at[number] = number, told_at
    return found


def read(received: Received, member: str, transaction_id: int | None, connector_id: int) -> Measured:
    """What the MeterValue objects in `member` say."""
    # Known again by what was sent: a repeat that names no transaction may come after its end.
    number = received.payload.get("transactionId")
    readings = [
        Reading(
            received.charge_point.pk,
            transaction_id,
            connector_id,
            received.received_at,
            received.time(holder=reading),
            reading["sampledValue"],
            fingerprint(connector_id, number, reading),
        )
        for reading in received.payload.get(member, [])
    ]
    return Measured(readings, latest(received, readings, transaction_id) if transaction_id is not None else None)


def latest(received: Received, readings: list[Reading], transaction_id: int) -> tuple[int, int, datetime] | None:
    samples: dict[datetime, list[dict[str, Any]]] = {}
    for reading in readings:  # phases may come one by one, all of one moment
        samples.setdefault(reading.timestamp, []).extend(reading.sampled_values)
    for measured_at in sorted(samples, reverse=True):
        energy = energy_wh(samples[measured_at])
        if energy is not None:
            return transaction_id, energy, reading_time(received, measured_at)
    return None


def reading_time(received: Received, measured_at: datetime) -> datetime:
    """When a reading counts as taken: one of the future, when it came, lest it hide those that follow."""
    if measured_at <= received.received_at + CLOCK_AHEAD:
        return measured_at
    received.findings[f"{received.action}.timestamp"] = f"reading of the future, {measured_at.isoformat()}"
    return received.received_at


def record(measured: list[Measured]) -> None:
    """Store every sample, and keep the newest reading of each transaction's energy register on it."""
    MeterValue.objects.record([reading for each in measured for reading in each.readings])
    newest = [each.latest for each in measured if each.latest is not None]
    if newest:
        Transaction.objects.record_latest(newest)
