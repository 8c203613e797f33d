from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models.functions import Now, Upper
from django.utils import timezone

from apikeys.clock import now
from apikeys.querysets import ChargePointOwnedQuerySet

from .authorization import ID_TAG_LENGTH
from .charge_point import ChargePoint

# Of a reservation whose time has passed unused; no row says so.
EXPIRED = "expired"


class ReservationQuerySet(ChargePointOwnedQuerySet["Reservation"]):
    def reserve(
        self,
        charge_point: ChargePoint,
        reservation_id: int,
        *,
        connector_id: int,
        id_tag: str,
        parent_id_tag: str,
        expires_at: datetime,
    ) -> Reservation:
        """Store an accepted ReserveNow; the same id replaces the former reservation (OCPP 1.6 section 5.13)."""
        row, _ = self.update_or_create(
            charge_point=charge_point,
            reservation_id=reservation_id,
            defaults={
                "connector_id": connector_id,
                "id_tag": id_tag,
                "parent_id_tag": parent_id_tag,
                "expires_at": expires_at,
                "state": Reservation.State.ACTIVE,
                "ended_at": None,
            },
        )
        return row

    def in_state(self, state: str) -> ReservationQuerySet:
        """Those whose current_state it is, by the database's clock."""
        if state == Reservation.State.ACTIVE:
            return self.filter(state=state, expires_at__gt=Now())
        if state == EXPIRED:
            return self.filter(state=Reservation.State.ACTIVE, expires_at__lte=Now())
        return self.filter(state=state)

    def end(self, charge_point: ChargePoint, reservation_id: int, state: str) -> bool:
        """Move an active reservation to `state`; False where none is active under this id."""
        active = self.filter(charge_point=charge_point, reservation_id=reservation_id, state=Reservation.State.ACTIVE)
        return bool(active.update(state=state, ended_at=Now()))


class Reservation(models.Model):
    """A reservation that the charge point accepted."""

    class State(models.TextChoices):
        ACTIVE = "active"
        CANCELLED = "cancelled"
        USED = "used"

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="reservations")
    reservation_id = models.IntegerField()
    connector_id = models.PositiveIntegerField()
    id_tag = models.CharField(max_length=ID_TAG_LENGTH)
    parent_id_tag = models.CharField(max_length=ID_TAG_LENGTH, blank=True)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=9, choices=State, default=State.ACTIVE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ReservationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "reservation_id"], name="reservation_unique")]
        indexes = [
            models.Index(Upper("id_tag"), name="reservation_id_tag"),
            models.Index(fields=["expires_at"], condition=models.Q(state="active"), name="reservation_active"),
        ]

    def __str__(self) -> str:
        return f"{self.reservation_id} for {self.id_tag}"

    @property
    def current_state(self) -> str:
        """`active`, `cancelled`, `used`, or `expired` once its time has passed unused."""
        if self.state == self.State.ACTIVE and self.expires_at <= now():
            return EXPIRED
        return str(self.state)
