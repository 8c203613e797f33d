from __future__ import annotations

from typing import Any

from django.db import connection, models, transaction
from django.db.models import Q
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet
from apikeys.statements import prepared

from ..database import insert
from ..json_text import listed
from ..statements import REPORT, REPORT_EACH, REPORT_PRESUMING
from . import happened
from .charge_point import Availability, ChargePoint
from .conversing import NotAccepted
from .event import OutboxEvent
from .happened import Reported

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


class ConnectorStatusQuerySet(ChargePointOwnedQuerySet["ConnectorStatus"]):
    def report(self, told: list[Reported], *, presuming: bool = False) -> None:
        """Store StatusNotifications: their history, the state of each connector by the last of its own, and events.

        Where it is only presumed that their charge points are accepted, PostgreSQL finds it out in passing; raises
        NotAccepted.
        """
        last = {status.connector: status for status in told}
        store = store_together if connection.vendor == "postgresql" else store_each
        with transaction.atomic(savepoint=False):
            known = {before.connector: before for before in store(told, last, presuming)}
            events: list[happened.Happened] = []
            for status in told:
                events += happened.status_reported(status, known.get(status.connector))
                known[status.connector] = status
            OutboxEvent.objects.record(events)


Last = dict[tuple[int, int], Reported]


def store_together(told: list[Reported], last: Last, presuming: bool) -> list[Reported]:
    """Store them in one statement; returns what their connectors had said before."""
    rows = [(*status, last[status.connector] is status) for status in told]
    with prepared() as cursor:
        cursor.execute(REPORT_PRESUMING if presuming else REPORT, [listed(rows)])
        known = [Reported(*row) for row in cursor.fetchall()]
    if presuming and any(before.connector_id is None for before in known):
        raise NotAccepted
    return known


def store_each(told: list[Reported], last: Last, presuming: bool) -> list[Reported]:
    """The same for a database that changes one table at a time, and is asked beforehand who is accepted."""
    adapt = connection.ops.adapt_datetimefield_value
    insert(ConnectorStatus, Reported._fields, [(*row, adapt(at), adapt(received)) for *row, at, received in told])
    known = Connector.objects.filter(charge_point__in={status.charge_point_id for status in told}).order_by()
    before = [Reported(*row) for row in known.values_list(*Reported._fields[:-2])]
    rows: list[Any] = [(*row, adapt(at)) for *row, at, _ in last.values()]
    with connection.cursor() as cursor:
        cursor.executemany(REPORT_EACH, rows)
    return before


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
