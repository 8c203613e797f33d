"""Inbound: id tags, transactions and their meter values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db import transaction as database

from chargepoints.models import (
    Authorization,
    ChargePoint,
    ChargingProfile,
    IdTag,
    MeterValue,
    OrphanStop,
    Reservation,
    SecurityEvent,
    Transaction,
)
from chargepoints.models.transaction import Reading, fingerprint

from . import times
from .models import Command
from .readings import energy_wh
from .received import MAXIMUM_INTEGER, MAXIMUM_METER, Received

logger = logging.getLogger(__name__)

# What some charge points send in MeterValues outside a transaction, or before they know its id.
NO_TRANSACTION = (0, -1)
# How far a clock may be ahead of ours; a reading from beyond would stay the newest for as long.
CLOCK_AHEAD = timedelta(minutes=5)


def authorize(received: Received) -> dict[str, Any]:
    return {"idTagInfo": id_tag_info(authorization(received.charge_point, received.payload["idTag"]))}


def authorization(charge_point: ChargePoint, id_tag: str) -> Authorization:
    """What the organization says of a tag; one that was just used in a remote start is authorized for it."""
    found = IdTag.objects.authorize(charge_point.organization, id_tag)
    if found.status != "Accepted" and Command.objects.remote_starts(charge_point, id_tag):
        return Authorization("Accepted")
    return found


def id_tag_info(found: Authorization) -> dict[str, Any]:
    """OCPP's IdTagInfo."""
    info: dict[str, Any] = {}
    if found.expiry_date is not None:
        info["expiryDate"] = times.write(found.expiry_date)
    if found.parent_id_tag:
        info["parentIdTag"] = found.parent_id_tag
    return info | {"status": found.status}


def start_transaction(received: Received) -> dict[str, Any]:
    charge_point, id_tag = received.charge_point, received.text("idTag")
    connector_id = received.integer("connectorId")
    with database.atomic():
        asked = Command.objects.remote_starts(charge_point, id_tag, connector_id)[:1]
        found = Authorization("Accepted") if asked else start_authorization(charge_point, connector_id, id_tag)
        transaction, is_new = Transaction.objects.start(
            charge_point,
            connector_id=connector_id,
            id_tag=id_tag,
            meter_start=received.integer("meterStart", -MAXIMUM_METER, MAXIMUM_METER),
            started_at=received.time(),
            reported_at=impossible_time(received),
            authorization_status=found.status,
            reservation_id=reservation_id(received),
        )
        if is_new:
            note_cause(transaction, asked)
    found = found._replace(status=transaction.authorization_status)
    return {"idTagInfo": id_tag_info(found), "transactionId": transaction.pk}


def impossible_time(received: Received) -> str | None:
    """The timestamp's own text where that is no possible time."""
    return str(received.payload["timestamp"]) if received.time() == received.received_at else None


def reservation_id(received: Received) -> int | None:
    """The reservation that a start uses; one that cannot have been ours must not cost the transaction."""
    number = received.payload.get("reservationId")
    if number is None or -MAXIMUM_INTEGER <= number <= MAXIMUM_INTEGER:
        return number
    received.findings["StartTransaction.reservationId"] = f"impossible number {number}"[:500]
    return None


def start_authorization(charge_point: ChargePoint, connector_id: int, id_tag: str) -> Authorization:
    """As for Authorize, and ConcurrentTx for a listed tag that is charging elsewhere."""
    found = IdTag.objects.authorize(charge_point.organization, id_tag)
    if found.status != "Accepted":
        return found
    single = IdTag.objects.for_organization(charge_point.organization).filter(
        id_tag__iexact=id_tag, allow_concurrent=False
    )
    # Starts of one tag wait here for each other: two at once must not both be the first.
    is_single = single.select_for_update(no_key=True).first() is not None
    elsewhere = Transaction.objects.charging_elsewhere(charge_point, connector_id, id_tag)
    return found._replace(status="ConcurrentTx") if is_single and elsewhere.exists() else found


def note_cause(transaction: Transaction, remote_starts: list[Command]) -> None:
    """Link a new transaction to the remote start, with its profile, or the reservation that it came from."""
    charge_point = transaction.charge_point
    for command in remote_starts:
        profile = command.payload.get("chargingProfile") if command.link(transaction) else None
        if profile is not None:
            store_apart(ChargingProfile.objects.install, charge_point, transaction.connector_id, profile)
    if transaction.reservation_id is not None:
        Reservation.objects.end(charge_point, transaction.reservation_id, Reservation.State.USED)


def store_apart(store: Callable[..., Any], *args: Any) -> bool:
    """Store what must not cost the message that it came with; False, with all of it undone, where that fails.

    A database that is away raises: the message is then not stored either.
    """
    try:
        with database.atomic():
            store(*args)
    except (OperationalError, InterfaceError):
        raise
    except (DatabaseError, KeyError, OverflowError, TypeError, ValueError):
        logger.exception("%s failed beside a transaction", store.__qualname__)
        return False
    return True


def stop_transaction(received: Received) -> dict[str, Any]:
    charge_point, id_tag = received.charge_point, received.text("idTag")
    number = received.integer("transactionId", -MAXIMUM_METER, MAXIMUM_METER)
    meter_stop = received.integer("meterStop", -MAXIMUM_METER, MAXIMUM_METER)
    with database.atomic():
        transaction = Transaction.objects.filter(pk=number).select_related("charge_point").first()
        if transaction is not None and transaction.charge_point_id != charge_point.pk:
            note_foreign(received, transaction, "StopTransaction")
            return {}
        if transaction is None:
            transaction = stop_orphan(received, number, meter_stop)
        else:
            stop_known(transaction, received, meter_stop)
        connector_id = transaction.connector_id if transaction is not None else 0
        if not store_apart(record_meter_values, received, "transactionData", transaction, connector_id):
            received.findings["StopTransaction.transactionData"] = "could not be stored"
    return {"idTagInfo": id_tag_info(authorization(charge_point, id_tag))} if id_tag else {}


def stop_known(transaction: Transaction, received: Received, meter_stop: int) -> None:
    """Stop the transaction that was named; of another stop that it had before, the first values stay."""
    transaction.doubt_stop()
    if close(transaction, meter_stop, received.time(), received.text("reason", 50), received.text("idTag")):
        return
    stored = Transaction.objects.get(pk=transaction.pk)
    if (stored.meter_stop, stored.stop_reason) != (meter_stop, received.text("reason", 50)):
        keep_orphan(received, transaction.pk, meter_stop, matched=transaction)


def close(transaction: Transaction, meter_stop: int, stopped_at: datetime, reason: str, id_tag: str) -> bool:
    """Stop a transaction on the charge point's word, with what ends beside it; False if it was stopped before."""
    if not transaction.stop(meter_stop, stopped_at, reason, id_tag):
        return False
    end_beside(transaction)
    return True


def end_beside(transaction: Transaction) -> None:
    """Let what waited for the end of a transaction happen, and what belonged to it end."""
    charge_point, connector_id = transaction.charge_point, transaction.connector_id
    if charge_point.transactions.active().filter(connector_id=connector_id).exists():
        return  # a late stop: what waits on the connector waits for its next transaction
    charge_point.apply_scheduled_availability(connector_id)
    # OCPP 1.6 section 3.13.1: a TxProfile is gone when its transaction has ended.
    profiles = ChargingProfile.objects.filter(charge_point=charge_point, connector_id=connector_id)
    profiles.filter(purpose="TxProfile").clear()


def stop_orphan(received: Received, number: int, meter_stop: int) -> Transaction | None:
    """Keep a stop of unknown id, and close the transaction that it means if only one can be meant."""
    orphan, is_new = keep_orphan(received, number, meter_stop)
    if not is_new:
        return orphan.matched
    meant = Transaction.objects.matching_stop(
        received.charge_point, id_tag=orphan.id_tag, meter_stop=meter_stop, stopped_at=orphan.stopped_at
    )
    if meant is not None:
        match(orphan, meant)
    return meant


def match(orphan: OrphanStop, meant: Transaction) -> None:
    """Take an orphan for the stop of the transaction that it means."""
    OrphanStop.objects.filter(pk=orphan.pk).update(matched=meant)
    close(meant, orphan.meter_stop, orphan.stopped_at, orphan.reason, orphan.id_tag)


def keep_orphan(
    received: Received, number: int, meter_stop: int, matched: Transaction | None = None
) -> tuple[OrphanStop, bool]:
    """Store a stop that no transaction takes its values from, repeats once; returns it and whether it is new."""
    id_tag = received.text("idTag")
    return OrphanStop.objects.get_or_create(
        charge_point=received.charge_point,
        fingerprint=fingerprint(number, meter_stop, received.payload["timestamp"], id_tag),
        defaults={
            "transaction_id_sent": number,
            "meter_stop": meter_stop,
            "stopped_at": received.time(),
            "reason": received.text("reason", 50),
            "id_tag": id_tag,
            "matched": matched,
        },
    )


def note_foreign(received: Received, transaction: Transaction, action: str) -> None:
    """Keep as a security event that a charge point spoke of another's transaction."""
    SecurityEvent.objects.create(
        charge_point=received.charge_point,
        type="ForeignTransaction",
        technical_information=f"{action} for transaction {transaction.pk} of another charge point.",
    )


def meter_values(received: Received) -> dict[str, Any]:
    connector_id = received.integer("connectorId")
    with database.atomic():
        transaction = measured_transaction(received, connector_id)
        record_meter_values(received, "meterValue", transaction, connector_id)
    return {}


def measured_transaction(received: Received, connector_id: int) -> Transaction | None:
    """The transaction that readings belong to: the one named, or the active one of the connector if none is."""
    own = Transaction.objects.filter(charge_point=received.charge_point)
    number = received.payload.get("transactionId")
    if number is None or number in NO_TRANSACTION:
        return own.active().filter(connector_id=connector_id).first() if connector_id else None
    transaction = own.filter(pk=number).first()
    if transaction is None:
        received.findings["MeterValues.transactionId"] = f"unknown transaction {number}"
    return transaction


def record_meter_values(received: Received, member: str, transaction: Transaction | None, connector_id: int) -> None:
    """Store every sample, and keep the newest reading of the energy register on the transaction."""
    # Known again by what was sent: a repeat that names no transaction may come after its end.
    number = received.payload.get("transactionId")
    readings = [
        Reading(
            timestamp=received.time(holder=reading),
            sampled_values=reading["sampledValue"],
            fingerprint=fingerprint(connector_id, number, reading),
        )
        for reading in received.payload.get(member, [])
    ]
    MeterValue.objects.record(received.charge_point, transaction, connector_id, received.received_at, readings)
    if transaction is None:
        return
    samples: dict[datetime, list[dict[str, Any]]] = {}
    for reading in readings:  # phases may come one by one, all of one moment
        samples.setdefault(reading.timestamp, []).extend(reading.sampled_values)
    for measured_at in sorted(samples, reverse=True):
        energy = energy_wh(samples[measured_at])
        if energy is not None:
            transaction.record_reading(energy, reading_time(received, measured_at))
            return


def reading_time(received: Received, measured_at: datetime) -> datetime:
    """When a reading counts as taken: one of the future, when it came, lest it hide those that follow."""
    if measured_at <= received.received_at + CLOCK_AHEAD:
        return measured_at
    received.findings[f"{received.action}.timestamp"] = f"reading of the future, {measured_at.isoformat()}"
    return received.received_at
