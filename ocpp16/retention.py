"""What of the logs may go, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from chargepoints.models import ConnectorStatus, Event, Notification, OrphanStop, SecurityEvent
from chargepoints.models.webhook_delivery import LONGEST_DELAY, PERSISTENCE

from .models import BulkCommand, Command, Message, RefusedConnection
from .models.command_queryset import UNFINISHED

# However little is kept, an event that its receivers fail to take is sent to them for as long.
DELIVERED = PERSISTENCE + LONGEST_DELAY
# Each batch is its own database transaction, so that charge points never wait long for a lock.
BATCH = 1000


def prune() -> int:
    """Delete a batch of every log that is older than the retention; returns how many rows."""
    return sum(delete_batch(rows) for rows in outdated(settings.DYNAMO_RETENTION_DAYS))


def outdated(days: int) -> list[QuerySet[Any]]:
    """What may go: logs so old by the database's clock, but no command that still waits for its answer."""
    limit = Now() - timedelta(days=days)
    limit_of_events = Now() - max(timedelta(days=days), DELIVERED)
    finished = Command.objects.exclude(state__in=UNFINISHED)
    return [
        Message.objects.filter(at__lt=limit),
        ConnectorStatus.objects.filter(received_at__lt=limit),
        Notification.objects.filter(received_at__lt=limit),
        SecurityEvent.objects.filter(received_at__lt=limit),
        OrphanStop.objects.filter(received_at__lt=limit, matched=None),
        finished.filter(created_at__lt=limit),
        BulkCommand.objects.filter(ended_at__lt=limit),
        RefusedConnection.objects.filter(last_at__lt=limit),
        Event.objects.oldest(BATCH).filter(created_at__lt=limit_of_events),
    ]


def delete_batch(rows: QuerySet[Any]) -> int:
    """Delete some of the rows, but none that another process is deleting; returns how many."""
    with transaction.atomic():
        claimed = rows.order_by().select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH]
        batch = list(claimed)
        if batch:
            rows.model._default_manager.filter(pk__in=batch).delete()
    return len(batch)
