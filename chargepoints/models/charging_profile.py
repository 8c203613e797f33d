from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet

from .charge_point import ChargePoint


class ChargingProfileQuerySet(ChargePointOwnedQuerySet["ChargingProfile"]):
    def active(self) -> ChargingProfileQuerySet:
        return self.filter(cleared_at=None)

    def install(self, charge_point: ChargePoint, connector_id: int, profile: dict[str, Any]) -> ChargingProfile:
        """Store an accepted SetChargingProfile; `profile` is OCPP's ChargingProfile.

        It replaces the profile of the same id, and that of the same connector, purpose and stack level
        (OCPP 1.6 section 5.16).
        """
        active = self.filter(charge_point=charge_point).active()
        same_place = models.Q(
            connector_id=connector_id,
            purpose=profile["chargingProfilePurpose"],
            stack_level=profile["stackLevel"],
        )
        active.filter(models.Q(charging_profile_id=profile["chargingProfileId"]) | same_place).clear()
        return self.create(
            charge_point=charge_point,
            connector_id=connector_id,
            charging_profile_id=profile["chargingProfileId"],
            purpose=profile["chargingProfilePurpose"],
            stack_level=profile["stackLevel"],
            profile=profile,
        )

    def clear(self) -> int:
        """End these profiles; returns how many were active."""
        return self.active().update(cleared_at=Now())


class ChargingProfile(models.Model):
    """A charging profile that the charge point accepted."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="charging_profiles")
    connector_id = models.PositiveIntegerField()
    charging_profile_id = models.IntegerField()
    purpose = models.CharField(max_length=30)
    stack_level = models.IntegerField()
    profile = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    cleared_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ChargingProfileQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["charge_point", "-id"])]
        constraints = [
            models.UniqueConstraint(
                fields=["charge_point", "charging_profile_id"],
                condition=models.Q(cleared_at=None),
                name="charging_profile_active_unique",
            )
        ]

    def __str__(self) -> str:
        return f"{self.charging_profile_id} ({self.purpose})"
