"""Inbound: meter values, which come by themselves or with the stop of their transaction."""

from __future__ import annotations

from collections.abc import Callable
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


class Measured(NamedTuple):
    """The readings of one message, and the newest of its transaction's energy register: (transaction, Wh, moment)."""

    readings: list[Reading]
    latest: tuple[int, int, datetime] | None


def meter_values(received: Received) -> dict[str, Any]:
    received.integer("connectorId")
    received.batch.store_later(store_meter_values, received)
    return {}


def store_meter_values(batch: list[Received]) -> None:
    transaction_of = measured_transactions(batch)
    record([read(each, "meterValue", transaction_of(each), each.payload["connectorId"]) for each in batch])


def measured_transactions(batch: list[Received]) -> Callable[[Received], int | None]:
    """Tells which transaction a message measures: the one named, or the active one of the connector if none is."""
    named = {each.payload.get("transactionId") for each in batch}
    numbers = [number for number in named if number is not None and 1 <= number <= MAXIMUM_TRANSACTION_ID]
    silent = {each.charge_point.pk for each in batch if each.payload.get("transactionId") in NO_TRANSACTION}
    known = Transaction.objects.filter(pk__in=numbers).order_by() if numbers else Transaction.objects.none()
    owners = dict(known.values_list("pk", "charge_point_id"))
    active = Transaction.objects.active().filter(charge_point__in=silent, connector_id__gt=0).order_by()
    places = active.values_list("charge_point_id", "connector_id", "pk") if silent else ()
    charging = {(charge_point_id, connector_id): number for charge_point_id, connector_id, number in places}

    def transaction_of(received: Received) -> int | None:
        number, charge_point_id = received.payload.get("transactionId"), received.charge_point.pk
        if number in NO_TRANSACTION:
            return charging.get((charge_point_id, received.payload["connectorId"]))
        if owners.get(number) == charge_point_id:
            return number
        received.findings["MeterValues.transactionId"] = f"unknown transaction {number}"
        return None

    return transaction_of


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
