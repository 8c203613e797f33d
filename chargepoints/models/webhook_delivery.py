from __future__ import annotations

import random
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Exists, F, Min, OuterRef, Q, Subquery
from django.db.models.functions import Now

from apikeys.clock import now
from apikeys.querysets import OrganizationQuerySet

from ..attention import attention
from ..database import insert
from ..statements import SETTLE
from .charge_point import ChargePoint
from .event import Event, EventType, Published, told
from .webhook_endpoint import WebhookEndpoint, WebhookEndpointQuerySet

if TYPE_CHECKING:
    from ..webhooks.client import Answer

# From the first failure on.
PERSISTENCE = timedelta(days=2)
GROWTH = 2
LONGEST_DELAY = timedelta(hours=6)
JITTER = 0.2
KEPT_ATTEMPTS = 50
# Who delivers to an endpoint begins no request in the last third of this, so that all have ended when others may.
CLAIM = timedelta(seconds=45)
# Of one charge point's at a time, so that those of others have their turn.
LANE = 20
GONE = 410

Lanes = dict[int | None, list["WebhookDelivery"]]


def delay(tries: int) -> timedelta:
    """How long to wait after so many attempts: twice as long each time, and never in step with others."""
    longer = settings.DYNAMO_WEBHOOK_RETRY_SECONDS * GROWTH ** min(tries - 1, 30)
    seconds = min(longer, LONGEST_DELAY.total_seconds())
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))


@dataclass(eq=False)
class Attempt:
    """One request for a delivery, by whoever has claimed its endpoint; `goes_on` says whether the next may follow."""

    delivery: WebhookDelivery
    endpoint: WebhookEndpoint
    started_at: datetime
    answer: Answer
    goes_on: bool = False

    @property
    def is_test(self) -> bool:
        return self.delivery.event.type == EventType.TEST

    def told(self) -> dict[str, Any]:
        """As the history has it."""
        return {
            "started_at": told(self.started_at),
            "status_code": self.answer.status_code,
            "error": self.answer.error or None,
            "answer": self.answer.body,
            "duration_ms": self.answer.duration_ms,
        }


class WebhookDeliveryQuerySet(OrganizationQuerySet["WebhookDelivery"]):
    organization_path = "endpoint__organization"
    sandbox_path = "endpoint__is_test"

    def pending(self) -> WebhookDeliveryQuerySet:
        return self.filter(state=WebhookDelivery.State.PENDING)

    def ended(self) -> WebhookDeliveryQuerySet:
        return self.exclude(state=WebhookDelivery.State.PENDING)

    def due(self) -> WebhookDeliveryQuerySet:
        return self.pending().filter(next_attempt_at__lte=Now())

    def fan_out(self, published: Collection[Published]) -> None:
        """Have these events delivered to all who want them, in the transaction that publishes them."""
        endpoints = WebhookEndpoint.objects.filter(organization__in={event.organization_id for event in published})
        wanting: dict[int, list[WebhookEndpoint]] = {}
        for endpoint in endpoints:
            wanting.setdefault(endpoint.organization_id, []).append(endpoint)
        has_tests = any(endpoint.is_test for endpoint in endpoints)
        simulated = ChargePoint.objects.simulated({event.charge_point_id for event in published}) if has_tests else ()
        native = connection.features.has_native_uuid_field
        rows = [
            (*(each if native else each.hex for each in (uuid.uuid4(), endpoint.pk)), event.id, event.charge_point_id)
            for event in published
            for endpoint in wanting.get(event.organization_id, ())
            if endpoint.wants(event.type, is_simulated=event.charge_point_id in simulated)
        ]
        if rows:
            insert(WebhookDelivery, ("id", "endpoint_id", "event_id", "charge_point_id"), rows)

    def oldest(self) -> datetime | None:
        """When the oldest event happened that an active endpoint still waits for."""
        first = self.pending().filter(endpoint__in=WebhookEndpoint.objects.active()).order_by()
        ids = first.values("endpoint").annotate(first=Min("event_id")).values("first")
        return Event.objects.filter(pk__in=ids).aggregate(at=Min("created_at"))["at"]

    def ready_endpoints(self) -> WebhookEndpointQuerySet:
        """Endpoints that something is due for, and that nobody has claimed."""
        return WebhookEndpoint.objects.active().free().filter(Exists(self.due().filter(endpoint=OuterRef("pk"))))

    def claim_endpoints(self, count: int) -> list[WebhookEndpoint]:
        """Take for oneself some endpoints that something is due for, those first who have waited longest."""
        claim = uuid.uuid4()
        with transaction.atomic():
            free = self.ready_endpoints().select_for_update(skip_locked=True, no_key=True, of=("self",))
            taken = list(free.order_by(F("claimed_until").asc(nulls_first=True))[:count])
            rows = WebhookEndpoint.objects.filter(pk__in=[row.pk for row in taken])
            rows.update(claim=claim, claimed_until=Now() + CLAIM)
        for row in taken:
            row.claim = claim
        return taken

    def take(self, endpoint: WebhookEndpoint, busy: Collection[int | None], count: int) -> Lanes:
        """What may be sent to an endpoint now, by charge point, each in the order of its events.

        Leaves out charge points that are busy, and those whose earlier event waits for its next attempt.
        """
        earlier = WebhookDelivery.objects.pending().filter(
            endpoint=endpoint, charge_point=OuterRef("charge_point"), event__lt=OuterRef("event")
        )
        waits = earlier.filter(next_attempt_at__gt=Now()).order_by("-next_attempt_at")
        rows = self.due().filter(endpoint=endpoint, endpoint__paused_at=None, endpoint__claim=endpoint.claim)
        rows = rows.exclude(charge_point__in=[pk for pk in busy if pk is not None])
        if None in busy:
            rows = rows.exclude(charge_point=None)
        rows = rows.annotate(waits_until=Subquery(waits.values("next_attempt_at")[:1]))
        lanes: Lanes = {}
        waiting: dict[int | None, datetime] = {}
        for row in rows.select_related("event__charge_point").order_by("event_id")[:count]:
            if until := row.waits_until:  # type: ignore[attr-defined]
                waiting[row.charge_point_id] = until
            elif len(lane := lanes.setdefault(row.charge_point_id, [])) < LANE:
                lane.append(row)
        for charge_point_id, until in waiting.items():
            self.hold_back(endpoint, charge_point_id, until)
        return lanes

    def hold_back(self, endpoint: WebhookEndpoint, charge_point_id: int | None, until: datetime) -> None:
        """Let the events of a charge point wait behind one of them."""
        lane = self.pending().filter(endpoint=endpoint, charge_point=charge_point_id)
        lane.filter(next_attempt_at__lt=until).update(next_attempt_at=until)

    def record(self, attempts: list[Attempt]) -> None:
        """Store what came of attempts, and what that means for those behind them and for their endpoints."""
        with transaction.atomic():
            pks = {attempt.endpoint.pk for attempt in attempts}
            rows = WebhookEndpoint.objects.filter(pk__in=pks).select_for_update(no_key=True).order_by("pk")
            endpoints, at = {row.pk: row for row in rows}, now()
            with connection.cursor() as cursor:
                cursor.executemany(SETTLE, [attempt.delivery.settle(attempt, at) for attempt in attempts])
            for attempt in attempts:
                self._follow(attempt)
            for pk, endpoint in endpoints.items():
                # What its former address answers tells nothing of the one that it has now.
                told = [each for each in attempts if each.endpoint.pk == pk and each.endpoint.url == endpoint.url]
                self._judge(endpoint, told, at)
            for attempt in attempts:
                stored = endpoints.get(attempt.endpoint.pk)
                attempt.goes_on = stored is not None and stored.is_still(attempt.endpoint)

    def _follow(self, attempt: Attempt) -> None:
        """Let the events behind an attempt wait with it, or no longer."""
        delivery = attempt.delivery
        if delivery.charge_point_id is None:
            return
        if delivery.state == WebhookDelivery.State.PENDING:
            self.hold_back(attempt.endpoint, delivery.charge_point_id, delivery.next_attempt_at)  # type: ignore[arg-type]
        elif len(delivery.attempts) > 1:
            lane = self.pending().filter(endpoint=attempt.endpoint, charge_point=delivery.charge_point_id)
            lane.filter(next_attempt_at__gt=Now()).update(next_attempt_at=Now())

    def _judge(self, endpoint: WebhookEndpoint, attempts: list[Attempt], at: datetime) -> None:
        if any(attempt.answer.status_code == GONE for attempt in attempts):
            endpoint.pause(endpoint.Reason.GONE)
            return
        succeeded = any(attempt.answer.is_success for attempt in attempts)
        if succeeded or not all(attempt.is_test for attempt in attempts):
            endpoint.record_health(succeeded, at)

    def resend(self) -> int:
        """Deliver these anew, as if they had never been tried; one that waits for its next attempt, now."""
        attention.draw()
        return self.update(
            state=WebhookDelivery.State.PENDING, next_attempt_at=Now(), tries=0, gives_up_at=None, ended_at=None
        )


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint."""

    class State(models.TextChoices):
        PENDING = "pending"
        DELIVERED = "delivered"
        GIVEN_UP = "given_up", "given up"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, db_index=False, related_name="deliveries")
    event = models.ForeignKey(Event, models.CASCADE, related_name="deliveries")
    # The event's, with which it goes.
    charge_point = models.ForeignKey(
        ChargePoint,
        models.DO_NOTHING,
        null=True,
        blank=True,
        db_index=False,
        db_constraint=False,
        related_name="+",
    )
    state = models.CharField(max_length=9, choices=State, db_default=State.PENDING)
    created_at = models.DateTimeField(db_default=Now())
    next_attempt_at = models.DateTimeField(null=True, blank=True, db_default=Now())
    ended_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(db_default=0, help_text="Since it was last asked for.")
    gives_up_at = models.DateTimeField(null=True, blank=True)
    attempts = models.JSONField(db_default=[], help_text="The last of them.")

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-event_id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "event"], name="webhook_delivery_unique")]
        indexes = [
            models.Index(
                fields=["endpoint", "next_attempt_at"], condition=Q(state="pending"), name="webhook_delivery_due"
            ),
            models.Index(
                fields=["endpoint", "charge_point", "event"],
                condition=Q(state="pending"),
                name="webhook_delivery_lane",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event.type} to {self.endpoint}"

    def settle(self, attempt: Attempt, at: datetime) -> tuple[Any, ...]:
        """Take over what an attempt means; returns the values of SETTLE."""
        self.attempts = [*self.attempts, attempt.told()][-KEPT_ATTEMPTS:]
        self.tries += 1
        self.next_attempt_at = self.ended_at = None
        if attempt.answer.is_success:
            self.state, self.ended_at = self.State.DELIVERED, at
        else:
            self.gives_up_at = self.gives_up_at or at + PERSISTENCE
            next_at = at + delay(self.tries)
            if attempt.is_test or next_at > self.gives_up_at:
                self.state, self.ended_at = self.State.GIVEN_UP, at
            else:
                self.next_attempt_at = next_at
        names = ("state", "tries", "attempts", "next_attempt_at", "gives_up_at", "ended_at", "pk")
        fields = [self._meta.pk if name == "pk" else self._meta.get_field(name) for name in names]
        return tuple(field.get_db_prep_save(getattr(self, field.attname), connection) for field in fields)  # type: ignore[union-attr]
