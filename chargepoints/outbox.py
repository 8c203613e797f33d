"""From the outbox to those who wait for events."""

from __future__ import annotations

from django.db import transaction

from .models import Event, OutboxEvent


def publish() -> int:
    """Publish a batch of what has been committed; returns how many events."""
    if not OutboxEvent.objects.exists():
        return 0
    with transaction.atomic():
        return len(Event.objects.publish())
