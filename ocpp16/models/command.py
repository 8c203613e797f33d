from __future__ import annotations

import uuid
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Now

from apikeys.models import ApiKey
from apikeys.querysets import ChargePointOwnedQuerySet
from chargepoints.models import ChargePoint, Transaction

from .. import metrics, payloads

# How long after a remote start its transaction, or its tag's authorization, may still come.
REMOTE_START_WINDOW = timedelta(minutes=10)
FORGOTTEN_AT_ONCE = 500
UNFINISHED = ["queued", "sent"]


class CommandQuerySet(ChargePointOwnedQuerySet["Command"]):
    def unfinished(self) -> CommandQuerySet:
        return self.filter(state__in=UNFINISHED)

    def claim(self, pk: uuid.UUID) -> Command | None:
        """Take a queued command for sending; None where it has ended meanwhile, so that it is never sent late."""
        command, queued = self.filter(pk=pk).first(), self.filter(pk=pk, state=Command.State.QUEUED)
        if command is None:
            return None
        with command.atomic():
            if not queued.update(state=Command.State.SENT, sent_at=Now()):
                return None
            command.hand_over_secret()
        return command

    def sent_within(self, charge_points: Collection[int], seconds: float) -> dict[int, list[float]]:
        """How many seconds ago each CALL left for these charge points in the last `seconds`, oldest first."""
        # A command leaves within its timeout, so the index on its creation finds it.
        created = Now() - timedelta(seconds=seconds + settings.DYNAMO_COMMAND_TIMEOUT)
        recent = self.filter(charge_point__in=charge_points, created_at__gt=created)
        recent = recent.filter(sent_at__gt=Now() - timedelta(seconds=seconds)).order_by("sent_at")
        ages: dict[int, list[float]] = {}
        for pk, age in recent.annotate(age=Now() - F("sent_at")).values_list("charge_point_id", "age"):
            ages.setdefault(pk, []).append(age.total_seconds())
        return ages

    def forgotten(self) -> CommandQuerySet:
        """What nobody waits for any more and nothing has ended: the worker or the caller died."""
        patience = timedelta(seconds=3 * settings.DYNAMO_COMMAND_TIMEOUT + 60)
        return self.unfinished().filter(created_at__lt=Now() - patience)

    def end_forgotten(self) -> int:
        """End as timed out, some at a time, what nobody waits for any more; returns how many."""
        with transaction.atomic():
            claimed = self.forgotten().select_for_update(skip_locked=True)[:FORGOTTEN_AT_ONCE]
            return sum(command.end(Command.State.TIMED_OUT) for command in claimed)

    def remote_starts(self, charge_points: Collection[int]) -> CommandQuerySet:
        """Recent remote starts of these charge points that have caused no transaction yet, newest first."""
        return self.filter(
            charge_point__in=charge_points,
            action="RemoteStartTransaction",
            state__in=[Command.State.SENT, Command.State.ACCEPTED, Command.State.TIMED_OUT],
            created_at__gt=Now() - REMOTE_START_WINDOW,
            transaction=None,
        ).order_by("-created_at")


class Command(models.Model):
    """One CALL to a charge point, whatever became of it; its id is the OCPP message id."""

    class State(models.TextChoices):
        QUEUED = "queued"
        SENT = "sent"
        ACCEPTED = "accepted"
        REJECTED = "rejected"
        CALL_ERROR = "call_error"
        TIMED_OUT = "timed_out"
        LOST = "lost"
        RATE_LIMITED = "rate_limited"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="commands")
    api_key = models.ForeignKey(ApiKey, models.SET_NULL, null=True, blank=True, related_name="commands")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, db_index=False, related_name="commands"
    )
    request_id = models.CharField(max_length=100, blank=True)
    action = models.CharField(max_length=40)
    payload = models.JSONField()
    state = models.CharField(max_length=12, choices=State, default=State.QUEUED)
    is_late = models.BooleanField(
        default=False, help_text="The answer came after the caller had been told of a timeout."
    )
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    response = models.JSONField(null=True, blank=True, help_text="The payload of the CALLRESULT.")
    error_code = models.CharField(max_length=50, blank=True)
    error_description = models.TextField(blank=True)
    error_details = models.JSONField(null=True, blank=True)
    response_time_ms = models.PositiveIntegerField(null=True, blank=True)
    transaction = models.ForeignKey(
        Transaction,
        models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="commands",
        help_text="What it started.",
    )

    objects = CommandQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["charge_point", "-created_at"]),
            models.Index(fields=["-created_at"]),
            models.Index(fields=["created_at"], condition=models.Q(state__in=UNFINISHED), name="command_unfinished"),
            # Of few commands: for the deletion of what they point at.
            models.Index(fields=["user"], condition=~models.Q(user=None), name="command_user"),
            models.Index(fields=["transaction"], condition=~models.Q(transaction=None), name="command_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.id}"

    @property
    def status(self) -> str:
        """The `status` that the charge point answered, or ''."""
        answered = self.response.get("status") if isinstance(self.response, dict) else None
        return answered if isinstance(answered, str) else ""

    def means(self, id_tag: str, connector_id: int | None) -> bool:
        """Whether this remote start asked for that tag, on that connector if both name one."""
        wanted = self.payload.get("connectorId")
        same_connector = connector_id is None or wanted is None or wanted == connector_id
        return same_connector and str(self.payload.get("idTag", "")).upper() == id_tag.upper()

    def atomic(self, *, has_effect: bool = False) -> AbstractContextManager[Any]:
        """A transaction where a step of the command is more than its row: for one statement it would be two more."""
        return transaction.atomic() if has_effect or payloads.secret(self.action, self.payload) else nullcontext()

    def hand_over_secret(self) -> None:
        """Let a password on its way be used, whether it is answered or not; from now on the row no longer tells it."""
        password = payloads.secret(self.action, self.payload)
        if password:
            self.charge_point.offer_password(password)
            Command.objects.filter(pk=self.pk).update(payload=payloads.masked(self.action, self.payload))

    def end(self, state: str, **answer: Any) -> bool:
        """Move an unfinished command to its end; False where another end was first."""
        values = {"state": state, "ended_at": Now(), **self._hidden(), **answer}
        if not Command.objects.unfinished().filter(pk=self.pk).update(**values):
            return False
        self._assign(values)
        return True

    def give_up(self, reason: str) -> bool:
        """End a command that no socket has taken for sending; False where one has, or it has ended."""
        ended = {"state": self.State.LOST, "ended_at": Now(), "error_description": reason}
        values = {**ended, **self._hidden()}
        if not Command.objects.filter(pk=self.pk, state=self.State.QUEUED).update(**values):
            return False
        self._assign(values)
        return True

    def complete(self, state: str, **answer: Any) -> bool:
        """Store the charge point's answer, also over a timeout; False where the command had another end."""
        return self.end(state, **answer) or self.complete_late(state, **answer)

    def complete_late(self, state: str, **answer: Any) -> bool:
        """Store an answer over a timeout; False where that was not the command's end."""
        values = {"state": state, "ended_at": Now(), "is_late": True, **answer}
        if not Command.objects.filter(pk=self.pk, state=self.State.TIMED_OUT).update(**values):
            return False
        self._assign(values)
        return True

    def withdraw_secret(self) -> None:
        """Forget the password that the charge point refused, unless it is being told another."""
        if not payloads.secret(self.action, self.payload):
            return
        later = Command.objects.filter(charge_point=self.charge_point, action=self.action)
        later = later.filter(created_at__gt=self.created_at, sent_at__gt=self.sent_at)
        if not any(payloads.secret(command.action, command.payload) for command in later):
            self.charge_point.withdraw_password()

    def link(self, started: Transaction) -> bool:
        """Note the transaction that this remote start caused; False where it had caused another before."""
        is_first = bool(Command.objects.filter(pk=self.pk, transaction=None).update(transaction=started))
        self.transaction = started
        return is_first

    def _hidden(self) -> dict[str, Any]:
        hides = payloads.secret(self.action, self.payload)
        return {"payload": payloads.masked(self.action, self.payload)} if hides else {}

    def _assign(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        del self.ended_at  # told by the database, to who asks
        metrics.command_ended(self.action, values)
