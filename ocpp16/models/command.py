from __future__ import annotations

import json
import uuid
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from apikeys.clock import now
from apikeys.models import ApiKey
from chargepoints.models import ChargePoint, OutboxEvent, Transaction, happened

from .. import metrics, payloads
from .command_queryset import ANSWERED, KEPT, REMOTE_START_WINDOW, UNFINISHED, CommandQuerySet, State

LONGEST_TOLD = 16 * 1024


class Command(models.Model):
    """One CALL to a charge point, whatever became of it; its id is the OCPP message id."""

    State = State

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
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Until when it waits for its charge point to be online."
    )
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
            models.Index(fields=["created_at"], condition=Q(state__in=UNFINISHED), name="command_unfinished"),
            models.Index(fields=["charge_point"], condition=KEPT, name="command_kept"),
            # Of few commands: for the deletion of what they point at.
            models.Index(fields=["user"], condition=~Q(user=None), name="command_user"),
            models.Index(fields=["transaction"], condition=~Q(transaction=None), name="command_transaction"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.id}"

    @property
    def is_kept(self) -> bool:
        """Whether it waits for its charge point to be online, for longer than any caller does."""
        return self.state == self.State.QUEUED and self.expires_at is not None

    @property
    def start_timeout(self) -> bool:
        """Whether this is an accepted remote start whose transaction did not come."""
        waits = self.action == "RemoteStartTransaction" and self.state == self.State.ACCEPTED
        is_old = self.sent_at is not None and now() - self.sent_at > REMOTE_START_WINDOW
        return waits and self.transaction_id is None and is_old

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
        return self._finish(Command.objects.unfinished(), values)

    def give_up(self, reason: str) -> bool:
        """End a command that no socket has taken for sending; False where one has, or it has ended."""
        ended = {"state": self.State.LOST, "ended_at": Now(), "error_description": reason}
        return self._finish(Command.objects.filter(state=self.State.QUEUED), {**ended, **self._hidden()})

    def tell(self) -> str:
        """What its end gave an answered command, for `learn` in another process; '' where its row should be read."""
        sent_at = self.sent_at.isoformat() if self.sent_at else None
        told = json.dumps({**{name: getattr(self, name) for name in ANSWERED}, "sent_at": sent_at})
        return told if len(told) < LONGEST_TOLD else ""

    def learn(self, told: str) -> None:
        """Take over what another process stored and then told."""
        for name, value in json.loads(told).items():
            setattr(self, name, datetime.fromisoformat(value) if value and name == "sent_at" else value)
        self.__dict__.pop("ended_at", None)  # told by the database, to who asks

    def cancel(self) -> bool:
        """End a command that waits for its charge point; False where it does not wait, or does no longer."""
        return self._finish(Command.objects.filter(KEPT), {"state": self.State.CANCELLED, "ended_at": Now()})

    def complete(self, state: str, **answer: Any) -> bool:
        """Store the charge point's answer, also over a timeout; False where the command had another end."""
        return self.end(state, **answer) or self.complete_late(state, **answer)

    def complete_late(self, state: str, **answer: Any) -> bool:
        """Store an answer over a timeout; False where that was not the command's end."""
        values = {"state": state, "ended_at": Now(), "is_late": True, **answer}
        return self._finish(Command.objects.filter(state=self.State.TIMED_OUT), values)

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

    def _finish(self, rows: CommandQuerySet, values: dict[str, Any]) -> bool:
        """Move the command, if it is one of `rows`, to its end, of which an event tells."""
        with transaction.atomic():
            if not rows.filter(pk=self.pk).update(**values):
                return False
            OutboxEvent.objects.record(happened.command_ended(self, values))
            self._assign(values)
        return True

    def _assign(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.__dict__.pop("ended_at", None)  # told by the database, to who asks
        metrics.command_ended(self.action, values)
