from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from apikeys.querysets import ChargePointOwnedQuerySet
from apikeys.statements import among, columns_of, places, prepared, read
from chargepoints.database import insert_rows
from chargepoints.json_text import compact
from chargepoints.models import OutboxEvent, happened
from chargepoints.models.charge_point import RegistrationStatus

from .. import payloads, statements

if TYPE_CHECKING:
    from .command import Command

# How long after a remote start its transaction, or its tag's authorization, may still come.
REMOTE_START_WINDOW = timedelta(minutes=10)
FORGOTTEN_AT_ONCE = 500
NEEDS_REGISTRATION = ("RemoteStartTransaction", "RemoteStopTransaction")
UNFINISHED = ["queued", "sent"]
# What waits for its charge point.
KEPT = Q(state="queued", expires_at__isnull=False)
# How long the longest command may take, whatever its window.
PATIENCE = timedelta(seconds=120)
NEW = (
    "id",
    "charge_point_id",
    "api_key_id",
    "user_id",
    "request_id",
    "action",
    "payload",
    "state",
    "expires_at",
    "is_late",
    "error_code",
    "error_description",
)
CLAIMED = ("id", "charge_point_id", "action", "payload", "sent_at")
REMOTE_START = ("id", "charge_point_id", "payload", "transaction_id")
ANSWERED = ("state", "response", "error_code", "error_description", "error_details", "response_time_ms")
UNANSWERED = {"is_late": False, "response": None, "error_code": "", "error_description": "", "error_details": None}


class State(models.TextChoices):
    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CALL_ERROR = "call_error"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    RATE_LIMITED = "rate_limited"
    CANCELLED = "cancelled"


@dataclass(eq=False)
class Claim:
    """A socket's question for the command that it is to send."""

    command_id: uuid.UUID
    command: Command | None = None


def event_of(command: Command, values: dict[str, Any]) -> dict[str, Any]:
    """What tells of an answer, as statements.END takes it."""
    (event,) = happened.command_ended(command, values)
    return {"uuid": uuid.uuid4(), "type": event.type, "data": event.data}


class CommandQuerySet(ChargePointOwnedQuerySet["Command"]):
    def unfinished(self) -> CommandQuerySet:
        return self.filter(state__in=UNFINISHED)

    def log(self, commands: list[Command]) -> None:
        """Insert new rows, faster than the ORM does."""
        if not commands:
            return
        if connection.vendor == "postgresql":
            rows = [{name: getattr(command, name) for name in NEW} for command in commands]
            with prepared() as cursor:
                cursor.execute(statements.LOG, [compact(rows)])
        else:
            with transaction.atomic() if len(commands) > 1 else nullcontext():
                insert_rows(commands, NEW)
        for command in commands:
            command._state.adding = False
            del command.created_at  # told by the database, to who asks

    def claim(self, pk: uuid.UUID) -> Command | None:
        """Take a queued command for sending; None where it has ended meanwhile, so that it is never sent late."""
        command, queued = self.filter(pk=pk).first(), self.unexpired().filter(pk=pk, state=State.QUEUED)
        if command is None:
            return None
        with command.atomic():
            if not queued.update(state=State.SENT, sent_at=Now()):
                return None
            command.hand_over_secret()
        return command

    def claim_all(self, claims: list[Claim]) -> None:
        """Take these queued commands for sending; without a command stays whose has ended, or must be claimed alone."""
        if not connection.features.can_return_columns_from_insert:  # SQLite before 3.35
            return
        by_id, secret = {claim.command_id: claim for claim in claims}, payloads.SECRET_ACTIONS
        one_of, ids = among([self.model._meta.pk.get_db_prep_value(pk, connection) for pk in by_id])
        statement = statements.CLAIM.format(
            columns=columns_of(self.model, CLAIMED, "ocpp16_command"),
            now=statements.NOW[connection.vendor],
            among=one_of,
            secret=places(secret),
        )
        for command in read(self.model, CLAIMED, statement, [ids, *secret], is_prepared=True):
            by_id[command.pk].command = command

    def end_all(self, ends: list[tuple[Command, dict[str, Any]]]) -> set[uuid.UUID]:
        """Move unfinished commands without a secret to their ends, each by its values; left out is who had another."""
        # What a claim has not read is not asked for.
        full = [(command, UNANSWERED | values) for command, values in ends]
        ended = self._end_together(full) if connection.vendor == "postgresql" else self._end_each(full)
        for command, values in full:
            if command.pk in ended:
                command._assign(values)
        return ended

    def _end_together(self, ends: list[tuple[Command, dict[str, Any]]]) -> set[uuid.UUID]:
        rows = [{**values, "id": command.pk, "event": event_of(command, values)} for command, values in ends]
        one_of, ids = among([command.pk for command, _ in ends])
        with prepared() as cursor:
            cursor.execute(statements.END.format(among=one_of), [compact(rows), ids])
            return {pk for (pk,) in cursor.fetchall()}

    def _end_each(self, ends: list[tuple[Command, dict[str, Any]]]) -> set[uuid.UUID]:
        fields: list[Any] = [self.model._meta.get_field(name) for name in (*ANSWERED, "id")]
        ended, told = set(), []
        with transaction.atomic():
            with connection.cursor() as cursor:
                for command, values in ends:
                    row = {**values, "id": command.pk}
                    cursor.execute(
                        statements.END_EACH,
                        [field.get_db_prep_save(row[field.name], connection) for field in fields],
                    )
                    if cursor.rowcount:
                        ended.add(command.pk)
                        told += happened.command_ended(command, values)
            OutboxEvent.objects.record(told)
        return ended

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

    def unexpired(self) -> CommandQuerySet:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=Now()))

    def kept(self) -> CommandQuerySet:
        """What waits for its charge point to come online."""
        return self.filter(KEPT, expires_at__gt=Now())

    def deliverable(self, channels: str) -> CommandQuerySet:
        """What was kept for charge points that have come online, by sockets whose channels begin so; oldest first."""
        waiting = self.kept().filter(charge_point__channel_name__startswith=channels)
        accepted = Q(charge_point__registration_status=RegistrationStatus.ACCEPTED)
        return waiting.filter(accepted | ~Q(action__in=NEEDS_REGISTRATION)).order_by("created_at")

    def forgotten(self) -> CommandQuerySet:
        """What nobody waits for any more and nothing has ended: the worker or the caller died, or it has expired."""
        long_ago = Now() - timedelta(seconds=3 * settings.DYNAMO_COMMAND_TIMEOUT) - PATIENCE
        left = Q(state=State.QUEUED, expires_at=None, created_at__lt=long_ago)
        silent = Q(state=State.SENT, sent_at__lt=long_ago)
        return self.unfinished().filter(left | silent | KEPT & Q(expires_at__lt=Now()))

    def end_forgotten(self) -> int:
        """End as timed out, some at a time, what nobody waits for any more; returns how many."""
        with transaction.atomic():
            claimed = self.forgotten().select_for_update(skip_locked=True)[:FORGOTTEN_AT_ONCE]
            return sum(command.end(State.TIMED_OUT) for command in claimed)

    def remote_starts(self, charge_points: Collection[int]) -> Iterable[Command]:
        """Recent remote starts of these charge points that have caused no transaction yet, newest first."""
        since = statements.AGO[connection.vendor].format(REMOTE_START_WINDOW.total_seconds())
        statement = statements.REMOTE_STARTS.format(
            columns=", ".join(REMOTE_START), ids=places(charge_points), since=since
        )
        return read(self.model, REMOTE_START, statement, [*charge_points])
