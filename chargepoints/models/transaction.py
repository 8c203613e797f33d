from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from datetime import datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, models
from django.db import transaction as database
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet

from .charge_point import ChargePoint

MAXIMUM_TRANSACTION_ID = 2**31 - 1


def new_transaction_id() -> int:
    """An id that no other transaction lets one guess, within what charge points can hold."""
    return 1 + secrets.randbelow(MAXIMUM_TRANSACTION_ID)


# Made once: of a stop with 10,000 readings, each needs it.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def fingerprint(*parts: Any) -> uuid.UUID:
    """128 bits that are equal only for equal parts; what the database compares to find repeats."""
    return uuid.UUID(bytes=hashlib.blake2b(_canonical(parts).encode(), digest_size=16).digest())


# What a transaction without a stop of its own ended with: nothing is invented.
AT_LAST_READING = {
    "meter_stop": Coalesce("latest_meter_value", "meter_start"),
    "stopped_at": Coalesce("latest_meter_at", "started_at"),
}


class TransactionQuerySet(ChargePointOwnedQuerySet["Transaction"]):
    def active(self) -> TransactionQuerySet:
        return self.filter(state=Transaction.State.ACTIVE)

    def charging_elsewhere(self, charge_point: ChargePoint, connector_id: int, id_tag: str) -> TransactionQuerySet:
        """The active transactions of this tag on any other connector of the organization."""
        active = self.active().for_organization(charge_point.organization_id)
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
    ) -> tuple[Transaction, bool]:
        """Open a transaction, or find the one that this is a repeat of; returns it and whether it is new.

        `reported_at` is the timestamp as the charge point wrote it, for one that has no clock: where `started_at` is
        the server's time in its stead, repeats are still recognized by it. An open transaction on the connector is
        closed as inferred.
        """
        moment = started_at if reported_at is None else reported_at
        mark = fingerprint(connector_id, id_tag.upper(), moment, meter_start)
        with database.atomic():
            # One start at a time per charge point: duplicates on two workers wait here for each other.
            ChargePoint.objects.select_for_update(no_key=True).values_list("pk").get(pk=charge_point.pk)
            known = self._started(charge_point, mark)
            while known is not None and reported_at is not None and known.state == Transaction.State.STOPPED:
                # Without a clock the next session may look the same; it must not vanish in the last one.
                mark = fingerprint(str(mark), known.pk)
                known = self._started(charge_point, mark)
            if known is not None:
                return known, False
            for forgotten in self.active().filter(charge_point=charge_point, connector_id=connector_id):
                forgotten.infer_stop()
            row = self._insert(
                charge_point=charge_point,
                connector_id=connector_id,
                id_tag=id_tag,
                meter_start=meter_start,
                started_at=started_at,
                authorization_status=authorization_status,
                reservation_id=reservation_id,
                fingerprint=mark,
            )
        return row, True

    def _started(self, charge_point: ChargePoint, mark: uuid.UUID) -> Transaction | None:
        return self.filter(charge_point=charge_point, fingerprint=mark).first()

    def _insert(self, **fields: Any) -> Transaction:
        while True:
            number = new_transaction_id()
            try:
                with database.atomic():
                    return self.create(id=number, **fields)
            except IntegrityError:
                if not self.filter(pk=number).exists():
                    raise

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
    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, related_name="transactions")
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
        end = self.stopped_at or timezone.now()
        return max(0, int((end - self.started_at).total_seconds()))

    def stop(self, meter_stop: int, stopped_at: datetime, reason: str, id_tag: str = "") -> bool:
        """Close on the charge point's word, also over an inference; False if a stop was stored before."""
        genuine = Transaction.objects.filter(pk=self.pk).exclude(state=self.State.STOPPED)
        return bool(
            genuine.update(
                state=self.State.STOPPED,
                meter_stop=meter_stop,
                stopped_at=stopped_at,
                stop_received_at=Now(),
                stop_reason=reason,
                stop_id_tag=id_tag,
            )
        )

    def infer_stop(self) -> bool:
        """Close at the last known reading: the charge point has begun anew and sent no stop."""
        active = Transaction.objects.filter(pk=self.pk, state=self.State.ACTIVE)
        return bool(active.update(state=self.State.INFERRED, stop_reason="", **AT_LAST_READING))

    def record_reading(self, energy_wh: int, measured_at: datetime) -> None:
        """Keep a reading of the energy register if it is newer than the one that we have; an inference follows it."""
        own = Transaction.objects.filter(pk=self.pk)
        older = Q(latest_meter_at=None) | Q(latest_meter_at__lte=measured_at)
        own.filter(older).update(latest_meter_value=energy_wh, latest_meter_at=measured_at)
        own.filter(state=self.State.INFERRED).update(**AT_LAST_READING)

    def doubt_stop(self) -> None:
        """Make a stop that was only guessed to be this transaction's an inference: its own supersedes it."""
        guessed = OrphanStop.objects.filter(matched=self).exclude(transaction_id_sent=self.pk)
        if guessed.update(matched=None):
            stopped = Transaction.objects.filter(pk=self.pk, state=self.State.STOPPED)
            stopped.update(state=self.State.INFERRED, **AT_LAST_READING)


class Reading(NamedTuple):
    """What a charge point measured at one moment, and what a repeat of it is known by."""

    timestamp: datetime
    sampled_values: list[dict[str, Any]]
    fingerprint: uuid.UUID


# One parameter for all readings: ten thousand rows of the ORM's take three times as long.
INSERT_READINGS = """
    INSERT INTO chargepoints_metervalue
        (charge_point_id, transaction_id, connector_id, received_at, timestamp, sampled_values, fingerprint)
    SELECT %s, %s, %s, %s, timestamp, sampled_values, fingerprint
    FROM jsonb_to_recordset(%s) AS reading (timestamp timestamptz, sampled_values jsonb, fingerprint uuid)
    ON CONFLICT DO NOTHING
"""


class MeterValueQuerySet(ChargePointOwnedQuerySet["MeterValue"]):
    def record(
        self,
        charge_point: ChargePoint,
        transaction: Transaction | None,
        connector_id: int,
        received_at: datetime,
        readings: list[Reading],
    ) -> None:
        """Store readings; those that a charge point repeats are stored once."""
        if connection.vendor == "postgresql":
            number = transaction.pk if transaction is not None else None
            text = json.dumps([reading._asdict() for reading in readings], default=str)
            with connection.cursor() as cursor:
                cursor.execute(INSERT_READINGS, [charge_point.pk, number, connector_id, received_at, text])
            return
        source = {"charge_point": charge_point, "transaction": transaction, "connector_id": connector_id}
        rows = [MeterValue(**source, received_at=received_at, **reading._asdict()) for reading in readings]
        self.bulk_create(rows, ignore_conflicts=True)


class MeterValue(models.Model):
    """OCPP's MeterValue: the samples that were taken at one moment, each as the charge point wrote it."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, related_name="meter_values")
    transaction = models.ForeignKey(Transaction, models.CASCADE, null=True, blank=True, related_name="meter_values")
    connector_id = models.PositiveIntegerField()
    timestamp = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    sampled_values = models.JSONField(help_text="OCPP's list of SampledValue.")
    fingerprint = models.UUIDField(editable=False)

    objects = MeterValueQuerySet.as_manager()

    class Meta:
        ordering = ["timestamp", "id"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "fingerprint"], name="meter_value_unique")]
        indexes = [models.Index(fields=["transaction", "timestamp"])]

    def __str__(self) -> str:
        return f"{self.timestamp:%Y-%m-%d %H:%M:%S}"


class OrphanStop(models.Model):
    """A StopTransaction whose transaction is not known; `matched` where only one could be meant."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, related_name="orphan_stops")
    transaction_id_sent = models.BigIntegerField()
    meter_stop = models.BigIntegerField(help_text="Wh")
    stopped_at = models.DateTimeField()
    reason = models.CharField(max_length=50, blank=True)
    id_tag = models.CharField(max_length=255, blank=True)
    matched = models.ForeignKey(Transaction, models.SET_NULL, null=True, blank=True, related_name="orphan_stops")
    received_at = models.DateTimeField(db_default=Now())
    fingerprint = models.UUIDField(editable=False)

    objects = ChargePointOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "fingerprint"], name="orphan_stop_unique")]

    def __str__(self) -> str:
        return f"stop of {self.transaction_id_sent}"
