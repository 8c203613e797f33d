from __future__ import annotations

from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from chargepoints.models import ChargePoint


class RefusedConnectionQuerySet(models.QuerySet["RefusedConnection"]):
    def for_user(self, user: Any) -> RefusedConnectionQuerySet:
        """Refusals of charge points that the user may see; an unknown identity is nobody's, so a superuser's."""
        if user.is_superuser:
            return self
        return self.filter(identity__in=ChargePoint.objects.for_user(user).values("identity"))

    def record(self, *, identity: str, address: str, reason: str, path: str, protocols: str, count: int) -> None:
        """Count a refused handshake on the row of its kind; a flood of new kinds is counted on one row."""
        known = {"identity": identity, "address": address, "reason": reason}
        counted = {"count": F("count") + count, "last_at": Now(), "path": path, "protocols": protocols}
        if self.filter(**known).update(**counted):
            return
        if self.filter(address=address).count() >= RefusedConnection.ROWS_PER_ADDRESS or (
            self.count() >= RefusedConnection.ROWS
        ):
            known = {"identity": "", "address": "", "reason": RefusedConnection.OVERFLOW}
            counted["path"] = counted["protocols"] = ""
            if self.filter(**known).update(**counted):
                return
        try:
            with transaction.atomic():
                self.create(**known, **{**counted, "count": count}, first_at=Now())
        except IntegrityError:
            self.filter(**known).update(**counted)


class RefusedConnection(models.Model):
    """A kind of WebSocket handshake that was refused; repeats are counted."""

    OVERFLOW = "more kinds than are listed"
    ROWS = 5_000
    ROWS_PER_ADDRESS = 100

    identity = models.CharField(max_length=100, blank=True)
    address = models.CharField(max_length=45, blank=True)
    reason = models.CharField(max_length=100)
    path = models.CharField(max_length=300, blank=True)
    protocols = models.CharField("offered protocols", max_length=200, blank=True)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now)

    objects = RefusedConnectionQuerySet.as_manager()

    class Meta:
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(fields=["identity", "address", "reason"], name="refused_connection_unique")
        ]

    def __str__(self) -> str:
        return f"{self.identity or self.path}: {self.reason}"
