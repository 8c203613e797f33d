from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db import connection, models
from django.db.models import Q
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet
from apikeys.statements import prepared

from ..attention import attention
from ..json_text import listed
from ..status_statements import REPORT, REPORT_OF_ACCEPTED, STORE_STATUS_IN_SQLITE, TELL_STATUS_IN_SQLITE
from .charge_point import Availability, ChargePoint
from .conversing import NotAccepted

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


class Reported(NamedTuple):
    """What a connector says of itself by a StatusNotification."""

    charge_point_id: int
    connector_id: int
    status: str
    error_code: str
    timestamp: datetime
    received_at: datetime
    info: str = ""
    vendor_id: str = ""
    vendor_error_code: str = ""


class ConnectorStatusQuerySet(ChargePointOwnedQuerySet["ConnectorStatus"]):
    def report(self, told: list[Reported], *, presuming: bool = False) -> None:
        """Store StatusNotifications, one for each connector: its state, its history, and events of what has changed.

        Where it is only presumed that their charge points are accepted, PostgreSQL finds it out in the same statement,
        which needs no transaction around it; raises NotAccepted.
        """
        adapt = connection.ops.adapt_datetimefield_value
        rows = listed((*each[:4], adapt(each.timestamp), adapt(each.received_at), *each[6:]) for each in told)
        is_postgresql = connection.vendor == "postgresql"
        if store_together(rows, presuming) if is_postgresql else store_one_by_one(rows):
            attention.draw()


def store_together(rows: str, presuming: bool) -> int:
    """Store rows of STATUS; returns how many events there will be."""
    with prepared() as cursor:
        cursor.execute(REPORT_OF_ACCEPTED if presuming else REPORT, [rows])
        refused, events = cursor.fetchone()
    if refused:
        raise NotAccepted
    return events


def store_one_by_one(rows: str) -> int:
    """The same for a database that changes one table at a time, and is asked beforehand who is accepted."""
    with connection.cursor() as cursor:
        cursor.execute(TELL_STATUS_IN_SQLITE, [rows])
        events = cursor.rowcount
        for statement in STORE_STATUS_IN_SQLITE:
            cursor.execute(statement, [rows])
    return events


class ConnectorStatus(models.Model):
    """One StatusNotification, kept as history."""

    # No constraint: its check would look the charge point up for each row, which is stored for many in one statement.
    charge_point = models.ForeignKey(
        ChargePoint, models.CASCADE, db_index=False, db_constraint=False, related_name="status_history"
    )
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
