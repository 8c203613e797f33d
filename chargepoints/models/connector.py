from __future__ import annotations

from operator import attrgetter
from typing import Any

from django.db import connection, models
from django.db.models import Q
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet

from ..database import insert
from ..statements import REPORT, REPORT_ROW
from . import happened
from .charge_point import Availability, ChargePoint
from .event import OutboxEvent

# A connector that has reported nothing yet is not listed, nor is the charge point itself while all is well.
LISTED = ~Q(status="") & ~Q(connector_id=0, status="Available")


class Connector(models.Model):
    """The current state of one connector; connector 0 is the charge point itself."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="connectors")
    connector_id = models.PositiveIntegerField()
    status = models.CharField(max_length=50, blank=True)
    error_code = models.CharField(max_length=50, blank=True)
    info = models.CharField(max_length=255, blank=True)
    vendor_id = models.CharField(max_length=255, blank=True)
    vendor_error_code = models.CharField(max_length=255, blank=True)
    timestamp = models.DateTimeField(null=True, blank=True, help_text="When the charge point says it changed.")
    availability = models.CharField(max_length=11, choices=Availability, blank=True)
    scheduled_availability = models.CharField(max_length=11, choices=Availability, blank=True)

    objects = ChargePointOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["charge_point", "connector_id"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "connector_id"], name="connector_unique")]

    def __str__(self) -> str:
        return f"{self.charge_point} connector {self.connector_id}"


# What a connector takes over from its last StatusNotification, behind what it is known by.
REPORTED = [
    "charge_point_id",
    "connector_id",
    "status",
    "error_code",
    "info",
    "vendor_id",
    "vendor_error_code",
]
reported = attrgetter(*REPORTED)


class ConnectorStatusQuerySet(ChargePointOwnedQuerySet["ConnectorStatus"]):
    def report(self, statuses: list[ConnectorStatus]) -> None:
        """Store StatusNotifications: their history, and the current state of each connector, by the last of its own."""
        adapt = connection.ops.adapt_datetimefield_value
        rows, history = {}, []
        for status in statuses:
            row = (*reported(status), adapt(status.timestamp))
            history.append((*row, adapt(status.received_at)))
            rows[row[:2]] = row
        insert(ConnectorStatus, (*REPORTED, "timestamp", "received_at"), history)
        self.record_changes(statuses)
        # In one order everywhere, so that two processes cannot wait for each other.
        values = [value for key in sorted(rows) for value in rows[key]]
        with connection.cursor() as cursor:
            cursor.execute(REPORT.format(", ".join([REPORT_ROW] * len(rows))), values)

    def record_changes(self, statuses: list[ConnectorStatus]) -> None:
        """Record the events of these StatusNotifications, each against the one before it."""
        rows = Connector.objects.filter(charge_point__in={status.charge_point_id for status in statuses}).order_by()
        known: dict[Any, Any] = {row[:2]: happened.Reported(*row[2:]) for row in rows.values_list(*REPORTED)}
        events: list[happened.Happened] = []
        for status in statuses:
            key = status.charge_point_id, status.connector_id
            events += happened.status_reported(status, known.get(key))
            known[key] = status
        OutboxEvent.objects.record(events)


class ConnectorStatus(models.Model):
    """One StatusNotification, kept as history."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="status_history")
    connector_id = models.PositiveIntegerField()
    status = models.CharField(max_length=50)
    error_code = models.CharField(max_length=50)
    info = models.CharField(max_length=255, blank=True)
    vendor_id = models.CharField(max_length=255, blank=True)
    vendor_error_code = models.CharField(max_length=255, blank=True)
    timestamp = models.DateTimeField(help_text="When the charge point says it changed.")
    received_at = models.DateTimeField(default=timezone.now)

    objects = ConnectorStatusQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "connector status history"
        indexes = [models.Index(fields=["charge_point", "connector_id", "-id"])]

    def __str__(self) -> str:
        return f"{self.status} at {self.timestamp:%Y-%m-%d %H:%M:%S}"
