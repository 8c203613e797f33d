from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db.models import QuerySet
from django.utils import timezone

from chargepoints.models import ConnectorStatus, Notification, OrphanStop, SecurityEvent
from ocpp16.models import Command as SentCommand
from ocpp16.models import Message, RefusedConnection

# Each batch is its own database transaction, so that charge points never wait long for a lock.
BATCH = 1000


def days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 36_500:
        raise ArgumentTypeError(f"{text!r} is no number of days between 1 and 36500.")
    return int(text)


class Command(BaseCommand):
    help = "Delete logs older than the retention. Transactions and meter values are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        retention = settings.DYNAMO_RETENTION_DAYS
        parser.add_argument("--days", type=days, default=retention, help=f"Keep this many days ({retention}).")

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        for rows in outdated(timezone.now() - timedelta(days=days)):
            self.stdout.write(f"{rows.model._meta.verbose_name_plural}: {delete_in_batches(rows)} deleted")


def outdated(limit: datetime) -> list[QuerySet[Any]]:
    """What may go: the logs of before `limit`, but no command that still waits for its answer."""
    finished = SentCommand.objects.exclude(state__in=[SentCommand.State.QUEUED, SentCommand.State.SENT])
    return [
        Message.objects.filter(at__lt=limit),
        ConnectorStatus.objects.filter(received_at__lt=limit),
        Notification.objects.filter(received_at__lt=limit),
        SecurityEvent.objects.filter(received_at__lt=limit),
        OrphanStop.objects.filter(received_at__lt=limit, matched=None),
        finished.filter(created_at__lt=limit),
        RefusedConnection.objects.filter(last_at__lt=limit),
    ]


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete the rows a batch at a time; returns how many."""
    count = 0
    while batch := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=batch).delete()
        count += len(batch)
    return count
