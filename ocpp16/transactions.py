"""Inbound: id tags, transactions and their meter values."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.db import transaction as database

from chargepoints.fingerprints import fingerprint
from chargepoints.models import (
    Authorization,
    ChargingProfile,
    IdTag,
    OrphanStop,
    Reservation,
    SecurityEvent,
    Transaction,
    happened,
)
from chargepoints.models.event import Note, note_now
from chargepoints.models.stopped import Stop

from . import metrics, times
from .meter_values import read, record
from .models import Command
from .payloads import InvalidPayload
from .received import MAXIMUM_INTEGER, MAXIMUM_METER, Received

logger = logging.getLogger(__name__)


def authorize(received: Received) -> dict[str, Any]:
    found = authorization(received)
    if found.status == "Accepted":
        received.batch.note(happened.session_authorized(received.charge_point.pk, received.text("idTag"), found))
    return {"idTagInfo": id_tag_info(found)}


def authorization(received: Received) -> Authorization:
    """What the organization says of the tag; one that was just used in a remote start is authorized for it."""
    found = authorization_by_list(received)
    return Authorization("Accepted") if found.status != "Accepted" and received.batch.remote_starts(received) else found


def authorization_by_list(received: Received) -> Authorization:
    listed = received.batch.id_tag(received)
    if listed is not None:
        return listed.authorization(received.received_at)
    return Authorization("Accepted" if received.charge_point.organization.accept_unknown_id_tags else "Invalid")


def id_tag_info(found: Authorization) -> dict[str, Any]:
    """OCPP's IdTagInfo."""
    info: dict[str, Any] = {}
    if found.expiry_date is not None:
        info["expiryDate"] = times.write(found.expiry_date)
    if found.parent_id_tag:
        info["parentIdTag"] = found.parent_id_tag
    return info | {"status": found.status}


def start_transaction(received: Received) -> dict[str, Any]:
    connector_id = received.integer("connectorId")
    asked = received.batch.remote_starts(received, connector_id)[:1]
    meter_start = received.integer("meterStart", -MAXIMUM_METER, MAXIMUM_METER)
    found = Authorization("Accepted") if asked else start_authorization(received, connector_id)
    transaction, is_new = Transaction.objects.start(
        received.charge_point,
        connector_id=connector_id,
        id_tag=received.text("idTag"),
        meter_start=meter_start,
        started_at=received.timestamp,
        reported_at=received.impossible_time(),
        authorization_status=found.status,
        reservation_id=reservation_id(received),
        surroundings=received.batch.surroundings,
        note=received.batch.note,
        store=received.batch.started,
    )
    if is_new:
        note_cause(transaction, asked)
        received.batch.note(happened.session_started(transaction, asked[0].pk if asked else None))
    metrics.repeated_starts.inc(not is_new)
    found = found._replace(status=transaction.authorization_status)
    return {"idTagInfo": id_tag_info(found), "transactionId": transaction.pk}


def reservation_id(received: Received) -> int | None:
    """The reservation that a start uses; one that cannot have been ours must not cost the transaction."""
    number = received.payload.get("reservationId")
    if number is None or -MAXIMUM_INTEGER <= number <= MAXIMUM_INTEGER:
        return number
    received.findings["StartTransaction.reservationId"] = f"impossible number {number}"[:500]
    return None


def start_authorization(received: Received, connector_id: int) -> Authorization:
    """As for Authorize, and ConcurrentTx for a listed tag that is charging elsewhere."""
    found, listed = authorization_by_list(received), received.batch.id_tag(received)
    if found.status != "Accepted" or listed is None or listed.allow_concurrent:
        return found
    received.batch.settle(lambda started: started.id_tag.upper() == listed.id_tag.upper())
    # Starts of one tag wait here for each other: two at once must not both be the first.
    IdTag.objects.select_for_update(no_key=True).filter(pk=listed.pk).first()
    elsewhere = Transaction.objects.charging_elsewhere(received.charge_point, connector_id, listed.id_tag)
    return found._replace(status="ConcurrentTx") if elsewhere.exists() else found


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
    number = received.integer("transactionId", -MAXIMUM_METER, MAXIMUM_METER)
    stop = read_stop(received)
    transaction = received.batch.transaction(number)
    if transaction is not None and transaction.charge_point_id != received.charge_point.pk:
        note_foreign(received, transaction, "StopTransaction")
        return {}
    if transaction is None:
        transaction = stop_orphan(received, number, stop.meter_stop)
    else:
        stop_known(transaction, received, stop)
    if received.payload.get("transactionData") and not store_apart(record_transaction_data, received, transaction):
        received.findings["StopTransaction.transactionData"] = "could not be stored"
    return {"idTagInfo": id_tag_info(authorization(received))} if received.text("idTag") else {}


def record_transaction_data(received: Received, transaction: Transaction | None) -> None:
    number, connector_id = (transaction.pk, transaction.connector_id) if transaction is not None else (None, 0)
    record([read(received, "transactionData", number, connector_id)])


def read_stop(received: Received) -> Stop:
    meter_stop = received.integer("meterStop", -MAXIMUM_METER, MAXIMUM_METER)
    told = received.text("reason", 50), received.text("idTag")
    return Stop(meter_stop, received.timestamp, received.received_at, *told)


def stop_known(transaction: Any, received: Received, stop: Stop) -> None:
    """Stop the transaction that was named; of another stop that it had before, the first values stay."""
    if received in received.batch.once(stop_together):
        transaction.end(stop, received.batch.note)
        if transaction.ends_more:
            end_beside(transaction)
        return
    stored = Transaction.objects.get(pk=transaction.pk)
    if (stored.meter_stop, stored.stop_reason) != (stop.meter_stop, stop.reason):
        keep_orphan(received, transaction.pk, stop.meter_stop, matched=transaction)


def stop_together(batch: list[Received]) -> set[Received]:
    """Stop the transactions that these CALLs name; returns those whose transaction had no stop before."""
    first: dict[int, Received] = {}
    stops: dict[int, Stop] = {}
    for each in (received for received in batch if received.action == "StopTransaction"):
        transaction = each.batch.transaction(each.payload["transactionId"])
        if transaction is None or transaction.charge_point_id != each.charge_point.pk or transaction.pk in first:
            continue
        with suppress(InvalidPayload):  # which refuses that CALL when its own turn comes
            stops[transaction.pk], first[transaction.pk] = read_stop(each), each
            if transaction.was_guessed_at:
                transaction.doubt_stop()
    return {first[number] for number in Transaction.objects.stop(stops)}


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
        match(orphan, meant, received.batch.note)
    return meant


def match(orphan: OrphanStop, meant: Transaction, note: Note = note_now) -> None:
    """Take an orphan for the stop of the transaction that it means."""
    OrphanStop.objects.filter(pk=orphan.pk).update(matched=meant)
    if meant.stop(orphan.meter_stop, orphan.stopped_at, orphan.reason, orphan.id_tag, note=note):
        end_beside(meant)


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
            "stopped_at": received.timestamp,
            "reason": received.text("reason", 50),
            "id_tag": id_tag,
            "matched": matched,
        },
    )


def note_foreign(received: Received, transaction: Transaction, action: str) -> None:
    """Keep as a security event that a charge point spoke of another's transaction."""
    SecurityEvent.objects.report(
        received.batch.note,
        charge_point=received.charge_point,
        type="ForeignTransaction",
        technical_information=f"{action} for transaction {transaction.pk} of another charge point.",
    )
