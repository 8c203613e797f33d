from __future__ import annotations

from typing import Any

from django.db import models
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet

from . import happened
from .charge_point import ChargePoint
from .event import Note


class Notification(models.Model):
    """What a charge point reported of firmware, diagnostics, logs, certificates or in vendor messages."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="notifications")
    action = models.CharField(max_length=40, help_text="The OCPP action that brought it.")
    status = models.CharField(max_length=50, blank=True)
    payload = models.JSONField(default=dict)
    received_at = models.DateTimeField(default=timezone.now)

    objects = ChargePointOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["charge_point", "-id"])]

    def __str__(self) -> str:
        return f"{self.action} {self.status}".strip()


class SecurityEventQuerySet(ChargePointOwnedQuerySet["SecurityEvent"]):
    def report(self, note: Note, **fields: Any) -> None:
        note(happened.security_event(self.create(**fields)))


class SecurityEvent(models.Model):
    """A security event: reported by the charge point, or seen by us in what it sent."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="security_events")
    type = models.CharField(max_length=50)
    technical_information = models.TextField(blank=True)
    timestamp = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now)

    objects = SecurityEventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["charge_point", "-id"])]

    def __str__(self) -> str:
        return self.type
