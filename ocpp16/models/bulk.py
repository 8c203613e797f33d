from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import connection, models, transaction
from django.db.models import Count, Q
from django.db.models.functions import Now

from apikeys.models import ApiKey, Organization
from apikeys.querysets import OrganizationQuerySet
from chargepoints.attention import attention
from chargepoints.database import insert_rows, update
from chargepoints.models import ChargePoint

from .command import Command

# Whoever carries a bulk command out says so again and again; after this, another process takes over.
LEASE = timedelta(seconds=30)
# Before so many have ended, their share of failures says little.
SAMPLE = 10
SUCCESSES = [Command.State.ACCEPTED]
TARGETS_AT_ONCE = 1000


class BulkCommandQuerySet(OrganizationQuerySet["BulkCommand"]):
    # By who ordered it: one of a live key may go to simulated charge points and to real ones.
    sandbox_path = "api_key__is_test"

    def order(self, charge_points: Collection[int], **fields: Any) -> BulkCommand:
        """Have a command sent to each of these charge points, in this order; some worker carries it out."""
        attention.draw()
        with transaction.atomic():
            bulk = self.create(total=len(charge_points), **fields)
            rows = [
                BulkTarget(bulk=bulk, charge_point_id=pk, position=number) for number, pk in enumerate(charge_points)
            ]
            for start in range(0, len(rows), TARGETS_AT_ONCE):
                insert_rows(rows[start : start + TARGETS_AT_ONCE], ("bulk", "charge_point", "position", "state"))
        return bulk

    def for_key(self, api_key: Any) -> BulkCommandQuerySet:
        """Those of its organization; a key that is limited to some charge points is shown only what it has ordered."""
        rows = super().for_key(api_key)
        return rows if api_key.allowed_charge_points is None else rows.filter(api_key=api_key)

    def free(self) -> BulkCommandQuerySet:
        """Those that nobody carries out, and that have not ended."""
        return self.filter(Q(leased_until=None) | Q(leased_until__lt=Now()), ended_at=None)

    def claim(self, count: int) -> list[BulkCommand]:
        """Take some that nobody carries out, for a lease."""
        with transaction.atomic():
            claimed = list(self.free().select_for_update(skip_locked=True, of=("self",)).order_by("created_at")[:count])
            self.filter(pk__in=[bulk.pk for bulk in claimed]).update(leased_until=Now() + LEASE)
        return claimed


class BulkCommand(models.Model):
    """One command to many charge points, a few at a time."""

    class State(models.TextChoices):
        RUNNING = "running"
        STOPPED = "stopped"
        FINISHED = "finished"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="bulk_commands")
    api_key = models.ForeignKey(ApiKey, models.SET_NULL, null=True, blank=True, related_name="+")
    request_id = models.CharField(max_length=100, blank=True)
    action = models.CharField(max_length=40)
    payload = models.JSONField()
    at_once = models.PositiveIntegerField(help_text="How many charge points at a time.")
    canary = models.PositiveIntegerField(default=0, help_text="How many go first, and must end before the others.")
    stop_on_failure_rate = models.FloatField(null=True, blank=True, help_text="The share of failures that stops it.")
    total = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=State, default=State.RUNNING)
    reason = models.CharField("why it stopped", max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, editable=False)

    objects = BulkCommandQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["organization", "-created_at"], name="bulk_command_list"),
            models.Index(fields=["created_at"], condition=Q(ended_at=None), name="bulk_command_open"),
        ]

    def __str__(self) -> str:
        return f"{self.action} to {self.total} charge points"

    def renew(self) -> bool:
        """Keep the lease; False where there is nothing to carry out any more."""
        return bool(BulkCommand.objects.filter(pk=self.pk, ended_at=None).update(leased_until=Now() + LEASE))

    def stop(self, reason: str) -> bool:
        """Send it to no further charge point; False where it had ended or been stopped before."""
        running = BulkCommand.objects.filter(pk=self.pk, state=self.State.RUNNING)
        return bool(running.update(state=self.State.STOPPED, reason=reason))

    def end(self) -> None:
        """Note that nothing is on its way any more."""
        mine = BulkCommand.objects.filter(pk=self.pk, ended_at=None)
        mine.filter(state=self.State.RUNNING).update(state=self.State.FINISHED)
        mine.update(ended_at=Now(), leased_until=None)

    def begin(self, positions: int, count: int) -> list[tuple[BulkTarget, Command]]:
        """Log the commands to the next of the first so many charge points, each with its target: none is sent twice.

        Who stops it waits for this, or has it begin nothing: what is told of a stop is true.
        """
        pending = self.targets.filter(state=BulkTarget.PENDING, position__lt=positions)
        running = BulkCommand.objects.filter(pk=self.pk, state=self.State.RUNNING)
        with transaction.atomic():
            if running.select_for_update(no_key=True).first() is None:
                return []
            targets = list(pending.select_for_update(of=("self",)).order_by("position")[:count])
            rows = ChargePoint.objects.to_command().in_bulk([target.charge_point_id for target in targets])
            commands = [self.command_for(rows[target.charge_point_id]) for target in targets]
            Command.objects.log(commands)
            adapt = Command._meta.pk.get_db_prep_value
            begun = [
                (adapt(command.pk, connection), BulkTarget.BEGUN, target.pk)
                for target, command in zip(targets, commands, strict=True)
            ]
            update(BulkTarget, ("command_id", "state"), begun)
        return list(zip(targets, commands, strict=True))

    def command_for(self, charge_point: ChargePoint) -> Command:
        sender: dict[str, Any] = {"api_key_id": self.api_key_id, "request_id": self.request_id}
        return Command(charge_point=charge_point, action=self.action, payload=self.payload, **sender)

    def counts(self) -> dict[str, int]:
        """How many of its charge points are in each state."""
        rows = self.targets.order_by().values_list("state").annotate(count=Count("pk"))
        return dict(rows)

    def verdict(self, counts: dict[str, int]) -> str:
        """Why it should go no further, by what has ended; '' where it may."""
        ended = sum(count for state, count in counts.items() if state not in BulkTarget.OPEN)
        if self.stop_on_failure_rate is None or ended < min(self.canary or SAMPLE, self.total):
            return ""
        failed = ended - sum(counts.get(state, 0) for state in SUCCESSES)
        if failed / ended <= self.stop_on_failure_rate:
            return ""
        return f"{failed} of {ended} failed, more than {self.stop_on_failure_rate:.0%}."


class BulkTargetQuerySet(OrganizationQuerySet["BulkTarget"]):
    organization_path = "bulk__organization"
    sandbox_path = "bulk__api_key__is_test"


class BulkTarget(models.Model):
    """One of the charge points of a bulk command; its command, once there is one, knows the rest."""

    PENDING, BEGUN = "pending", "begun"
    OPEN = (PENDING, BEGUN)

    bulk = models.ForeignKey(BulkCommand, models.CASCADE, db_index=False, related_name="targets")
    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, related_name="+")
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default=PENDING)
    command = models.ForeignKey(Command, models.SET_NULL, null=True, db_index=False, related_name="+")

    objects = BulkTargetQuerySet.as_manager()

    class Meta:
        ordering = ["bulk", "position"]
        constraints = [models.UniqueConstraint(fields=["bulk", "position"], name="bulk_target_position")]
        indexes = [
            models.Index(fields=["bulk", "state", "position"], name="bulk_target_next"),
            models.Index(fields=["command"], condition=~Q(command=None), name="bulk_target_command"),
        ]

    def __str__(self) -> str:
        return f"{self.charge_point}: {self.state}"

    def end(self, state: str) -> None:
        BulkTarget.objects.filter(pk=self.pk, state__in=self.OPEN).update(state=state)


def settle(bulk: BulkCommand) -> int:
    """End those whose commands have ended, whoever saw to them; returns how many are still under way."""
    begun = bulk.targets.filter(state=BulkTarget.BEGUN).select_related("command")
    left = 0
    for target in begun:
        if target.command is None:  # the log was pruned
            target.end(Command.State.LOST)
        elif target.command.ended_at is not None:
            target.end(target.command.state)
        else:
            left += 1
    return left
