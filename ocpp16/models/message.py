from __future__ import annotations

from django.db import models
from django.utils import timezone

from apikeys.querysets import ChargePointOwnedQuerySet
from chargepoints.models import ChargePoint


class Message(models.Model):
    """One frame of the OCPP conversation, as it went over the wire."""

    class Direction(models.TextChoices):
        RECEIVED = "in", "from charge point"
        SENT = "out", "to charge point"

    class Kind(models.IntegerChoices):
        MALFORMED = 0, "malformed"
        CALL = 2, "CALL"
        CALL_RESULT = 3, "CALLRESULT"
        CALL_ERROR = 4, "CALLERROR"

    # The journal makes sure of the charge points once for all messages; the database would for each of them.
    charge_point = models.ForeignKey(
        ChargePoint, models.CASCADE, db_index=False, db_constraint=False, related_name="messages"
    )
    direction = models.CharField(max_length=3, choices=Direction)
    kind = models.PositiveSmallIntegerField(choices=Kind)
    message_id = models.CharField(max_length=36, blank=True)
    action = models.CharField(max_length=40, blank=True)
    frame = models.TextField(help_text="The text of the frame; a very long one is cut.")
    at = models.DateTimeField(default=timezone.now)

    objects = ChargePointOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["charge_point", "-id"]), models.Index(fields=["at"])]

    def __str__(self) -> str:
        return f"{self.get_direction_display()} {self.get_kind_display()} {self.action}".strip()
