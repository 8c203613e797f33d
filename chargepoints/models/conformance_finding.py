from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet

from .charge_point import ChargePoint


class ConformanceFindingQuerySet(ChargePointOwnedQuerySet["ConformanceFinding"]):
    def record(self, charge_point_id: int, kind: str, detail: str, count: int, seen_at: datetime) -> None:
        """Count `count` more repairs of one kind on one row."""
        finding, created = self.get_or_create(
            charge_point_id=charge_point_id,
            kind=kind,
            defaults={"detail": detail, "count": count, "first_seen_at": seen_at, "last_seen_at": seen_at},
        )
        if not created:
            self.filter(pk=finding.pk).update(count=F("count") + count, detail=detail, last_seen_at=seen_at)


class ConformanceFinding(models.Model):
    """A way in which a charge point departs from OCPP that we repaired; repeats are counted."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="findings")
    kind = models.CharField(max_length=120)
    detail = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)

    objects = ConformanceFindingQuerySet.as_manager()

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "kind"], name="finding_unique")]

    def __str__(self) -> str:
        return self.kind
