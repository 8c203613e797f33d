from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, models
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet

from ..statements import INSERT_READINGS
from .charge_point import ChargePoint
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


_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode


class MeterValueQuerySet(ChargePointOwnedQuerySet["MeterValue"]):
    def record(self, readings: list[Reading]) -> None:
        """Store readings; those that a charge point repeats are stored once."""
        # In one order everywhere, so that two processes that store the same do not wait for each other.
        readings = sorted(readings, key=lambda reading: (reading.charge_point_id, reading.fingerprint))
        rows = [reading._asdict() for reading in readings]
        if connection.vendor != "postgresql":
            self.bulk_create([MeterValue(**row) for row in rows], ignore_conflicts=True)
            return
        with connection.cursor() as cursor:
            cursor.execute(INSERT_READINGS, [_encode(rows)])


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
