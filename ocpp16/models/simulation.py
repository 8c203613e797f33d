from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from apikeys.models import Organization
from apikeys.querysets import ChargePointOwnedQuerySet
from chargepoints.attention import attention
from chargepoints.credentials import generate_password
from chargepoints.models import ChargePoint

# Whoever runs a simulation says so again and again; after this, another process takes over.
LEASE = timedelta(seconds=30)
MAXIMUM_SIMULATIONS = 100


class TooManySimulations(Exception):
    def __init__(self) -> None:
        super().__init__(f"An organization has at most {MAXIMUM_SIMULATIONS} charge points that are simulated here.")


class SimulationQuerySet(ChargePointOwnedQuerySet["Simulation"]):
    def begin(self, charge_point: ChargePoint, make: str) -> Simulation:
        """Have a new charge point simulated, in the transaction that makes it; raises TooManySimulations."""
        Organization.objects.select_for_update(no_key=True).get(pk=charge_point.organization_id)
        if self.filter(charge_point__organization=charge_point.organization_id).count() >= MAXIMUM_SIMULATIONS:
            raise TooManySimulations
        attention.draw()
        return self.create(charge_point=charge_point, make=make)

    def free(self) -> SimulationQuerySet:
        """Those that no process runs."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lte=Now()))

    def hold(self) -> SimulationQuerySet:
        """With their charge points, until the end of the transaction; without those that are just being deleted."""
        rows = self.select_related("charge_point").order_by("pk")
        return rows.select_for_update(skip_locked=True, no_key=True, of=("self", "charge_point"))

    def claim(self, claim: uuid.UUID, count: int) -> list[Simulation]:
        """Take some that nobody runs, each with a new `password`: whoever ran it before cannot connect again."""
        with transaction.atomic():
            claimed = list(self.free().hold()[:count])
            self.filter(pk__in=[row.pk for row in claimed]).update(claim=claim, leased_until=Now() + LEASE)
            for row in claimed:
                row.renew_password()
        return claimed

    def renew_passwords(self, claim: uuid.UUID, pks: Collection[int]) -> dict[int, str]:
        """Other passwords for those of these that the claim still holds."""
        with transaction.atomic():
            rows = list(self.filter(claim=claim, pk__in=pks).hold())
            for row in rows:
                row.renew_password()
        return {row.pk: row.password for row in rows}

    def claimed(self, claim: uuid.UUID) -> set[int]:
        """The charge points that this claim still holds."""
        return set(self.filter(claim=claim).values_list("pk", flat=True))

    def renew(self, claim: uuid.UUID, memories: dict[int, dict[str, Any]]) -> None:
        """Hold those of this claim that run, whose memories these are, for another lease."""
        self.filter(claim=claim, pk__in=list(memories)).update(leased_until=Now() + LEASE)
        self.remember(claim, memories)

    def remember(self, claim: uuid.UUID, memories: dict[int, dict[str, Any]]) -> None:
        """Store what the charge points of this claim must know when they are run again."""
        for pk, memory in memories.items():
            self.filter(pk=pk, claim=claim).update(memory=memory)

    def release(self, claim: uuid.UUID) -> None:
        """Let others run them at once."""
        self.filter(claim=claim).update(claim=None, leased_until=None)


class Simulation(models.Model):
    """A simulated charge point that we run ourselves, in whatever process has claimed it."""

    charge_point = models.OneToOneField(ChargePoint, models.CASCADE, primary_key=True, related_name="simulation")
    make = models.CharField(max_length=50)
    memory = models.JSONField(null=True, help_text="What it knows after a loss of power.")
    claim = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)

    objects = SimulationQuerySet.as_manager()
    # Known to who has just claimed it.
    password: str

    def __str__(self) -> str:
        return f"{self.charge_point} by {self.make}"

    def renew_password(self) -> None:
        self.password = generate_password()
        self.charge_point.set_password(self.password)
