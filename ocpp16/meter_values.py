"""Inbound: meter values, which come by themselves or with the stop of their transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from chargepoints.fingerprints import fingerprint
from chargepoints.models import Latest, MeterValue, Reading, Transaction
from chargepoints.models.measured import Measurable
from chargepoints.readings import energy_wh

from .received import Received

# What some charge points send in MeterValues outside a transaction, or before they know its id.
NO_TRANSACTION = (None, 0, -1)
# How far a clock may be ahead of ours; a reading from beyond would stay the newest for as long.
CLOCK_AHEAD = timedelta(minutes=5)
# How often a session's readings are told of: one that comes every minute, or a little sooner, each time.
TELL_INTERVAL = timedelta(seconds=50)
# Of transactions, some two megabytes.
MAXIMUM_KNOWN = 10_000


class Measured(NamedTuple):
    """The readings of one message, and the newest of its transaction's energy register."""

    readings: list[Reading]
    latest: Latest | None


def meter_values(received: Received) -> dict[str, Any]:
    received.integer("connectorId")
    received.batch.store_later(store_meter_values, received)
    return {}


def store_meter_values(batch: list[Received]) -> None:
    measured = MeasuredTransactions(batch)
    readings = [read(each, "meterValue", measured.of(each), each.payload["connectorId"]) for each in batch]
    record(readings, {each.charge_point.pk for each in batch if each.is_presuming})
    measured.tell()


class KnownTransactions:
    """Transactions that were measured lately, in this process: whose they are never changes."""

    def __init__(self) -> None:
        self._by_number: dict[int, Measurable] = {}

    def of(self, received: Received) -> Measurable | None:
        """The one that the message names, if that is known to be its charge point's."""
        known = self._by_number.get(received.payload["transactionId"])
        return known if known is not None and known.charge_point_id == received.charge_point.pk else None

    def learn(self, transactions: Iterable[Measurable]) -> None:
        if len(self._by_number) > MAXIMUM_KNOWN:
            self.forget()
        self._by_number.update((each.number, each) for each in transactions)

    def forget(self) -> None:
        """Ask the database again: what was learned may have been rolled back, or be of a row that is gone."""
        self._by_number = {}


known_transactions = KnownTransactions()


class MeasuredTransactions:
    """The transactions that messages may measure: those that they name, or the active ones of who names none."""

    def __init__(self, batch: list[Received]) -> None:
        self.at = batch[-1].received_at
        silent = {each.charge_point.pk for each in batch if each.payload.get("transactionId") in NO_TRANSACTION}
        charging = Transaction.objects.charging(silent)
        self.charging = {(each.charge_point_id, each.connector_id): each.number for each in charging}
        self.all = {each.number: each for each in [*named(batch), *charging]}
        self.measured: set[int] = set()

    def of(self, received: Received) -> int | None:
        """The transaction that a message measures: the one named, or the active one of the connector if none is."""
        number, charge_point_id = received.payload.get("transactionId"), received.charge_point.pk
        if number in NO_TRANSACTION:
            number = self.charging.get((charge_point_id, received.payload["connectorId"]))
        elif number not in self.all or self.all[number].charge_point_id != charge_point_id:
            received.findings["MeterValues.transactionId"] = f"unknown transaction {number}"
            return None
        if number is not None:
            self.measured.add(number)
        return number

    def tell(self) -> None:
        """Have those told that were measured, unless they have just been."""
        before = self.at - TELL_INTERVAL
        due = {each for number in self.measured if (each := self.all[number]).told_at is None or each.told_at <= before}
        if due:
            told = Transaction.objects.tell({each.number for each in due}, before, self.at)
            known_transactions.learn(each._replace(told_at=self.at) for each in due if each.number in told)


def named(batch: list[Received]) -> list[Measurable]:
    """The transactions that messages name: whose is not known is asked of the database."""
    naming = [each for each in batch if each.payload.get("transactionId") not in NO_TRANSACTION]
    found = {each: known_transactions.of(each) for each in naming}
    unknown = {each.payload["transactionId"] for each, transaction in found.items() if transaction is None}
    asked = Transaction.objects.named(unknown)
    known_transactions.learn(asked)
    return [*filter(None, found.values()), *asked]


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
            received.time(reading),
            reading["sampledValue"],
            fingerprint(connector_id, number, reading),
        )
        for reading in received.payload.get(member, [])
    ]
    return Measured(readings, latest(received, readings, transaction_id) if transaction_id is not None else None)


def latest(received: Received, readings: list[Reading], transaction_id: int) -> Latest | None:
    samples: dict[datetime, list[dict[str, Any]]] = {}
    for reading in readings:  # phases may come one by one, all of one moment
        samples.setdefault(reading.timestamp, []).extend(reading.sampled_values)
    for measured_at in sorted(samples, reverse=True):
        energy = energy_wh(samples[measured_at])
        if energy is not None:
            return Latest(transaction_id, energy, reading_time(received, measured_at))
    return None


def reading_time(received: Received, measured_at: datetime) -> datetime:
    """When a reading counts as taken: one of the future, when it came, lest it hide those that follow."""
    if measured_at <= received.received_at + CLOCK_AHEAD:
        return measured_at
    received.findings[f"{received.action}.timestamp"] = f"reading of the future, {measured_at.isoformat()}"
    return received.received_at


def record(measured: list[Measured], presumed: Collection[int] = ()) -> None:
    """Store every sample, and keep the newest reading of each transaction's energy register on it."""
    readings = [reading for each in measured for reading in each.readings]
    MeterValue.objects.record(readings, [each.latest for each in measured if each.latest is not None], presumed)
