"""From the outbox to those who wait for events."""

from __future__ import annotations

from django.db import transaction

from .models import Event, WebhookDelivery


def publish() -> int:
    """Publish a batch of what has been committed, and have it delivered; returns how many events."""
    with transaction.atomic():
        published = Event.objects.publish()
        WebhookDelivery.objects.fan_out(published)
    return len(published)
