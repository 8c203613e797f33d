from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from django.db import connection, models, transaction
from django.db.models.functions import Now

from apikeys.clock import written
from apikeys.models import Organization
from apikeys.querysets import OrganizationQuerySet
from apikeys.statements import prepared

from ..attention import attention
from ..database import insert
from ..json_text import compact
from ..statements import PUBLISH, RECORD_EVENTS, TAKE

# Of many processes one publishes at a time.
PUBLISHING = int.from_bytes(b"events")
BATCH = 500


class EventType(StrEnum):
    CONNECTED = "charge_point.connected"
    DISCONNECTED = "charge_point.disconnected"
    BOOTED = "charge_point.booted"
    STATUS_CHANGED = "charge_point.status_changed"
    FAULT = "charge_point.fault"
    SESSION_AUTHORIZED = "session.authorized"
    SESSION_STARTED = "session.started"
    SESSION_UPDATED = "session.updated"
    SESSION_ENDED = "session.ended"
    COMMAND_COMPLETED = "command.completed"
    FIRMWARE_STARTED = "firmware.update_started"
    FIRMWARE_COMPLETED = "firmware.update_completed"
    DIAGNOSTICS_UPLOADED = "diagnostics.uploaded"
    SECURITY_EVENT = "security.event"
    TEST = "webhook.test"


class Happened(NamedTuple):
    """An event to be; chargepoints/events.py says what the data of each type hold besides the charge point's id."""

    charge_point_id: int
    type: str
    data: dict[str, Any]


Note = Callable[[Happened], None]


def told(value: Any) -> str:
    """How JSON says a time: as the API does."""
    return written(value) if isinstance(value, datetime) else str(value)


class OutboxEventQuerySet(models.QuerySet["OutboxEvent"]):
    def record(self, happened: Iterable[Happened]) -> None:
        """Have these published as soon as the transaction that brings them about is committed."""
        rows = [[*event] for event in happened]
        if not rows:
            return
        attention.draw()
        if connection.vendor == "postgresql":
            with prepared() as cursor:
                cursor.execute(RECORD_EVENTS, [compact(rows, told)])
            return
        made = [(uuid.uuid4().hex, *row, compact(data, told)) for *row, data in rows]
        insert(OutboxEvent, ["uuid", *Happened._fields], made)


def note_now(happened: Happened) -> None:
    """Record an event that nobody gathers with others."""
    OutboxEvent.objects.record([happened])


class Happening(models.Model):
    """What happened at a charge point; `uuid` is what receivers know it by."""

    uuid = models.UUIDField(default=uuid.uuid4, editable=False)
    type = models.CharField(max_length=30)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.type} {self.uuid}"


class OutboxEvent(Happening):
    """An event as it was written in the transaction of what happened.

    Its id was given before that was committed, so a smaller one may still come: it is no order to read by.
    """

    # No constraint: its check would lock the charge point's row, for which charge points would wait. What is of a
    # charge point that is gone is left to who publishes: both would wait for each other.
    charge_point = models.ForeignKey(
        "ChargePoint", models.DO_NOTHING, db_index=False, db_constraint=False, related_name="+"
    )

    objects = OutboxEventQuerySet.as_manager()


class Published(NamedTuple):
    """What is asked of a published event to find who wants it."""

    id: int
    organization_id: int
    charge_point_id: int
    type: str


class EventQuerySet(OrganizationQuerySet["Event"]):
    charge_point_path = "charge_point__identity"
    sandbox_path = "charge_point__is_simulated"

    def publish(self) -> list[Published]:
        """Take a batch from the outbox, inside a transaction; ends with nothing where another process does.

        Ids are given here only, by one process at a time until its commit: who has seen one sees no smaller one later.
        """
        if not self.has_turn():
            return []
        with prepared() as cursor:
            cursor.execute(PUBLISH[connection.vendor], [BATCH])
            published = [Published(*row) for row in cursor.fetchall()]
            if connection.vendor != "postgresql":
                cursor.execute(TAKE, [BATCH])
        return published

    def has_turn(self, *, patiently: bool = False) -> bool:
        """Whether this transaction, until its end, is the one that gives ids."""
        if connection.vendor != "postgresql":
            return True  # it has one writer at a time
        function = "pg_advisory_xact_lock" if patiently else "pg_try_advisory_xact_lock"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [PUBLISHING])
            return cursor.fetchone()[0] is not False

    def publish_test(self, organization: Organization, data: dict[str, Any]) -> Event:
        """An event that is of no charge point and in no feed."""
        with transaction.atomic():
            self.has_turn(patiently=True)
            return self.create(organization=organization, type=EventType.TEST, data=data)

    def oldest(self, count: int) -> EventQuerySet:
        """So many, found by their ids: an index of times would be written with each event, and read once a day."""
        return self.filter(pk__in=self.order_by("pk").values("pk")[:count])

    def in_feed(self, after: int, types: Collection[str] = ()) -> EventQuerySet:
        """Those of the feed behind that id, in the order that stands."""
        found = self.filter(pk__gt=after).exclude(type=EventType.TEST)
        return (found.filter(type__in=types) if types else found).order_by("pk")


class Event(Happening):
    """A published event: nothing that is committed later has a smaller id."""

    # No constraints: their checks would look both up for each row, which are published many in one statement.
    organization = models.ForeignKey(
        Organization, models.CASCADE, db_index=False, db_constraint=False, related_name="events"
    )
    charge_point = models.ForeignKey(
        "ChargePoint",
        models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
        related_name="events",
    )

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["organization", "id"], name="event_of_organization"),
            models.Index(fields=["charge_point", "id"], name="event_of_charge_point"),
        ]
