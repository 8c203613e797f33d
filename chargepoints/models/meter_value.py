from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, models
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet
from apikeys.statements import as_list, prepared

from ..json_text import listed
from ..statements import RECORD_READINGS, RECORD_READINGS_OF_ACCEPTED
from .charge_point import ChargePoint
from .conversing import NotAccepted
from .measured import Latest, newest
from .transaction import Transaction


class Reading(NamedTuple):
    """What a charge point measured at one moment; a repeat of it is known by the fingerprint."""

    charge_point_id: int
    transaction_id: int | None
    connector_id: int
    received_at: datetime
    timestamp: datetime
    sampled_values: list[dict[str, Any]]
    fingerprint: uuid.UUID


class MeterValueQuerySet(ChargePointOwnedQuerySet["MeterValue"]):
    def record(self, readings: list[Reading], latest: Collection[Latest], presumed: Collection[int] = ()) -> None:
        """Store readings, those that a charge point repeats once, and have the newest of transactions kept on them.

        Of charge points that are `presumed` to be accepted, PostgreSQL finds it out in the same statement, which needs
        no transaction around it; raises NotAccepted.
        """
        # In one order everywhere, so that two processes that store the same do not wait for each other.
        readings = sorted(readings, key=lambda reading: (reading.charge_point_id, reading.fingerprint))
        if connection.vendor != "postgresql":
            self.bulk_create([MeterValue(**reading._asdict()) for reading in readings], ignore_conflicts=True)
            Transaction.objects.record_latest(latest)
            return
        told = [listed(readings), listed(newest(latest))]
        with prepared() as cursor:
            if not presumed:
                cursor.execute(RECORD_READINGS, told)
                return
            named = as_list([*presumed])
            cursor.execute(RECORD_READINGS_OF_ACCEPTED, [named, named, *told])
            if cursor.fetchall():
                raise NotAccepted


class MeterValue(models.Model):
    """OCPP's MeterValue: the samples that were taken at one moment, each as the charge point wrote it."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="meter_values")
    transaction = models.ForeignKey(
        Transaction, models.CASCADE, null=True, blank=True, db_index=False, related_name="meter_values"
    )
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
