"""From the outbox to those who wait for events."""

from __future__ import annotations

from django.db import transaction

from .database import is_any
from .models import Event, OutboxEvent, WebhookDelivery


def publish() -> int:
    """Publish a batch of what has been committed, and have it delivered; returns how many events."""
    if not is_any(OutboxEvent.objects.all):
        return 0
    with transaction.atomic():
        published = Event.objects.publish()
        WebhookDelivery.objects.fan_out(published)
    return len(published)
