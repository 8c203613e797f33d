from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple

from django.db import connection, models
from django.db import transaction as database
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Now, Upper

from apikeys.clock import now
from apikeys.querysets import ChargePointOwnedQuerySet
from apikeys.statements import places, read

from ..database import insert_rows
from ..fingerprints import fingerprint, start_mark
from ..statements import STARTED, SURROUNDINGS
from . import happened
from .charge_point import ChargePoint
from .event import Note, OutboxEvent, note_now
from .measured import MAXIMUM_TRANSACTION_ID, Latest
from .stopped import Stop, StoppedQuerySet


def new_transaction_id() -> int:
    """An id that no other transaction lets one guess, within what charge points can hold."""
    return 1 + secrets.randbelow(MAXIMUM_TRANSACTION_ID)


# What a transaction without a stop of its own ended with: nothing is invented.
AT_LAST_READING = {
    "meter_stop": Coalesce("latest_meter_value", "meter_start"),
    "stopped_at": Coalesce("latest_meter_at", "started_at"),
}


class Surroundings(NamedTuple):
    """The transactions that starts may repeat or find open, by charge point, and numbers that are free for them."""

    rows: dict[int, list[Transaction]]
    numbers: list[int]


class TransactionQuerySet(StoppedQuerySet):
    def active(self) -> TransactionQuerySet:
        return self.filter(state=Transaction.State.ACTIVE)

    def charging_elsewhere(self, charge_point: ChargePoint, connector_id: int, id_tag: str) -> TransactionQuerySet:
        """The active transactions of this tag on any other connector of the organization.

        What a simulated charge point does with a tag is nothing to the real ones, nor the other way round.
        """
        active = self.active().for_organization(charge_point.organization_id)
        active = active.filter(charge_point__is_simulated=charge_point.is_simulated)
        return active.filter(id_tag__iexact=id_tag).exclude(charge_point=charge_point, connector_id=connector_id)

    def start(
        self,
        charge_point: ChargePoint,
        *,
        connector_id: int,
        id_tag: str,
        meter_start: int,
        started_at: datetime,
        authorization_status: str,
        reported_at: str | None = None,
        reservation_id: int | None = None,
        surroundings: Surroundings | None = None,
        note: Note = note_now,
        store: Callable[[Transaction], None] | None = None,
    ) -> tuple[Transaction, bool]:
        """Open a transaction, or find the one that this is a repeat of; returns it and whether it is new.

        A new one is handed to `store` where that is given, which is to have it inserted in the same transaction.

        `reported_at` is the timestamp as the charge point wrote it, for one that has no clock: where `started_at` is
        the server's time in its stead, repeats are still recognized by it. An open transaction on the connector is
        closed as inferred. Of starts on two workers the second waits for the first only where both hold the charge
        point's row (ChargePoint.objects.hold); elsewhere it is refused by the database.
        """
        mark = start_mark(connector_id, id_tag, started_at if reported_at is None else reported_at, meter_start)
        rows, numbers = surroundings or self.surroundings([(charge_point.pk, mark)])
        near = rows[charge_point.pk]
        known = next((row for row in near if row.fingerprint == mark), None)
        while known is not None and reported_at is not None and known.state == Transaction.State.STOPPED:
            # Without a clock the next session may look the same; it must not vanish in the last one.
            mark = fingerprint(str(mark), known.pk)
            known = self.filter(charge_point=charge_point, fingerprint=mark).first()
        if known is not None:
            return known, False
        with database.atomic(savepoint=False):
            for forgotten in near:
                if forgotten.connector_id == connector_id:
                    forgotten.infer_stop(note)
            row = self.model(
                id=numbers.pop(),
                charge_point=charge_point,
                connector_id=connector_id,
                id_tag=id_tag,
                meter_start=meter_start,
                started_at=started_at,
                authorization_status=authorization_status,
                reservation_id=reservation_id,
                fingerprint=mark,
            )
            self.insert([row]) if store is None else store(row)
        return row, True

    def insert(self, rows: list[Transaction]) -> None:
        """Insert new ones, faster than the ORM does."""
        insert_rows(rows, STARTED)

    def surroundings(self, starts: Collection[tuple[int, uuid.UUID]]) -> Surroundings:
        """What starts may meet, each of which is told by (charge point, mark)."""
        adapt = self.model._meta.get_field("fingerprint").get_db_prep_value
        columns = [field.attname for field in self.model._meta.concrete_fields]
        marks = [value for pk, mark in starts for value in (pk, adapt(mark, connection))]
        charge_points = {pk for pk, _ in starts}
        numbers = {new_transaction_id() for _ in range(len(starts) + 1)}
        statement = SURROUNDINGS.format(
            columns=", ".join(columns),
            marks=", ".join(["(%s, %s)"] * len(starts)),
            charge_points=places(charge_points),
            numbers=places(numbers),
        )
        rows: dict[int, list[Transaction]] = {pk: [] for pk in charge_points}
        for row in read(self.model, columns, statement, [*marks, *charge_points, *numbers]):
            rows.setdefault(row.charge_point_id, []).append(row)
            numbers.discard(row.pk)
        return Surroundings(rows, sorted(numbers)) if len(numbers) >= len(starts) else self.surroundings(starts)

    def tell(self, pks: Collection[int], before: datetime, at: datetime) -> set[int]:
        """Have the newest readings told of those that are active, and not told of since `before`; returns which are."""
        due = self.active().filter(Q(told_at=None) | Q(told_at__lte=before), pk__in=pks)
        with database.atomic(savepoint=False):
            # Whom somebody else holds, the next reading will have told.
            free = due.exclude(latest_meter_at=None).select_for_update(skip_locked=True, no_key=True)
            rows = list(free.order_by())
            OutboxEvent.objects.record(happened.session_updated(row) for row in rows)
            told = {row.pk for row in rows}
            self.filter(pk__in=told).update(told_at=at)
        return told

    def matching_stop(
        self, charge_point: ChargePoint, *, id_tag: str, meter_stop: int, stopped_at: datetime
    ) -> Transaction | None:
        """The one active transaction that a StopTransaction of unknown id can mean, or None if there is doubt."""
        candidates = self.active().filter(
            charge_point=charge_point, started_at__lte=stopped_at, meter_start__lte=meter_stop
        )
        if id_tag:
            candidates = candidates.filter(id_tag__iexact=id_tag)
        candidates = candidates.filter(Q(latest_meter_value=None) | Q(latest_meter_value__lte=meter_stop))
        found = list(candidates[:2])
        return found[0] if len(found) == 1 else None


class Transaction(models.Model):
    """One charging session; its id is the OCPP transactionId."""

    class State(models.TextChoices):
        ACTIVE = "active"
        STOPPED = "stopped"
        INFERRED = "inferred", "stopped (inferred)"

    id = models.PositiveIntegerField(primary_key=True, default=new_transaction_id, editable=False)
    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="transactions")
    connector_id = models.PositiveIntegerField()
    id_tag = models.CharField(max_length=255)
    authorization_status = models.CharField(max_length=12, help_text="What StartTransaction was answered.")
    reservation_id = models.IntegerField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    started_at = models.DateTimeField()
    start_received_at = models.DateTimeField(db_default=Now())
    meter_start = models.BigIntegerField(help_text="Wh")
    latest_meter_value = models.BigIntegerField(null=True, blank=True, help_text="Wh")
    latest_meter_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, editable=False)
    stopped_at = models.DateTimeField(null=True, blank=True)
    stop_received_at = models.DateTimeField(null=True, blank=True)
    meter_stop = models.BigIntegerField(null=True, blank=True, help_text="Wh")
    stop_reason = models.CharField(max_length=50, blank=True)
    stop_id_tag = models.CharField(max_length=255, blank=True)
    fingerprint = models.UUIDField(editable=False)

    objects = TransactionQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(fields=["charge_point", "fingerprint"], name="transaction_start_unique"),
            models.UniqueConstraint(
                fields=["charge_point", "connector_id"],
                condition=Q(state="active"),
                name="transaction_one_active_per_connector",
            ),
        ]
        indexes = [
            models.Index(fields=["charge_point", "-started_at"]),
            models.Index(fields=["-started_at"]),
            models.Index(fields=["stopped_at"], condition=~Q(stopped_at=None), name="transaction_stopped"),
            models.Index(Upper("id_tag"), F("started_at").desc(), name="transaction_id_tag"),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def current_meter_value(self) -> int:
        """The newest known reading of the energy register, in Wh."""
        if self.meter_stop is not None:
            return self.meter_stop
        return self.meter_start if self.latest_meter_value is None else self.latest_meter_value

    @property
    def energy_delivered_wh(self) -> int:
        """Energy delivered so far, in Wh; never negative, whatever the meter says."""
        return max(0, self.current_meter_value - self.meter_start)

    @property
    def duration_seconds(self) -> int:
        """Whole seconds from start to stop, or to now; never negative."""
        end = self.stopped_at or now()
        return max(0, int((end - self.started_at).total_seconds()))

    def stop(
        self,
        meter_stop: int,
        stopped_at: datetime,
        reason: str,
        id_tag: str = "",
        received_at: datetime | None = None,
        note: Note = note_now,
    ) -> bool:
        """Close on the charge point's word, also over an inference; False if a stop was stored before."""
        stop = Stop(meter_stop, stopped_at, received_at or now(), reason, id_tag)
        if not Transaction.objects.stop({self.pk: stop}):
            return False
        self.end(stop, note)
        return True

    def end(self, stop: Stop, note: Note) -> None:
        """Take over the stop that was stored, and note that it happened."""
        self.state, self.meter_stop, self.stopped_at = self.State.STOPPED, stop.meter_stop, stop.stopped_at
        self.stop_reason = stop.reason
        note(happened.session_ended(self))

    def infer_stop(self, note: Note = note_now) -> bool:
        """Close at the last known reading: the charge point has begun anew and sent no stop."""
        active = Transaction.objects.filter(pk=self.pk, state=self.State.ACTIVE)
        if not active.update(state=self.State.INFERRED, stop_reason="", **AT_LAST_READING):
            return False
        self.refresh_from_db(fields=["state", "stop_reason", "meter_stop", "stopped_at"])
        note(happened.session_ended(self))
        return True

    def record_reading(self, energy_wh: int, measured_at: datetime) -> None:
        """Keep a reading of the energy register if it is newer than the one that we have; an inference follows it."""
        Transaction.objects.record_latest([Latest(self.pk, energy_wh, measured_at)])

    def doubt_stop(self) -> None:
        """Make a stop that was only guessed to be this transaction's an inference: its own supersedes it."""
        guessed = OrphanStop.objects.filter(matched=self).exclude(transaction_id_sent=self.pk)
        if guessed.update(matched=None):
            stopped = Transaction.objects.filter(pk=self.pk, state=self.State.STOPPED)
            stopped.update(state=self.State.INFERRED, **AT_LAST_READING)


class OrphanStop(models.Model):
    """A StopTransaction whose transaction is not known; `matched` where only one could be meant."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="orphan_stops")
    transaction_id_sent = models.BigIntegerField()
    meter_stop = models.BigIntegerField(help_text="Wh")
    stopped_at = models.DateTimeField()
    reason = models.CharField(max_length=50, blank=True)
    id_tag = models.CharField(max_length=255, blank=True)
    matched = models.ForeignKey(
        Transaction, models.SET_NULL, null=True, blank=True, db_index=False, related_name="orphan_stops"
    )
    received_at = models.DateTimeField(db_default=Now())
    fingerprint = models.UUIDField(editable=False)

    objects = ChargePointOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "fingerprint"], name="orphan_stop_unique")]
        indexes = [models.Index(fields=["matched"], condition=~Q(matched=None), name="orphan_stop_matched")]

    def __str__(self) -> str:
        return f"stop of {self.transaction_id_sent}"
