from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from apikeys.clock import now
from apikeys.key_texts import MODES
from apikeys.models import Organization
from apikeys.querysets import OrganizationQuerySet

from ..attention import attention
from ..webhooks import signing
from ..webhooks.addresses import URL_LENGTH, validate_url
from .event import Event, EventType

ALL = "*"
SUBSCRIBABLE = (ALL, *(str(kind) for kind in EventType if kind != EventType.TEST))
MAXIMUM_ENDPOINTS = 50
# How long receivers have to learn a new secret.
OVERLAP = timedelta(hours=24)
# What fails for so long, and for everything, is paused before the first event is given up.
PATIENCE = timedelta(days=1)
# After such an outage, what waits for its next attempt is sent as soon as one has succeeded.
OUTAGE = timedelta(minutes=5)


def validate_events(events: Any) -> None:
    """Raise ValidationError unless `events` is a list of types that can be subscribed to."""
    unknown = [kind for kind in events if kind not in SUBSCRIBABLE] if isinstance(events, list) else [events]
    if unknown:
        raise ValidationError(f"Unknown: {', '.join(map(str, unknown))}. Known: {', '.join(SUBSCRIBABLE)}.")
    if not events:
        raise ValidationError("Must name at least one type, or *.")


class TooManyEndpoints(Exception):
    def __init__(self) -> None:
        super().__init__(f"An organization has at most {MAXIMUM_ENDPOINTS} endpoints, and as many test endpoints.")


class WebhookEndpointQuerySet(OrganizationQuerySet["WebhookEndpoint"]):
    sandbox_path = "is_test"

    def active(self) -> WebhookEndpointQuerySet:
        """Those that are delivered to."""
        return self.filter(paused_at=None, organization__is_active=True)

    def free(self) -> WebhookEndpointQuerySet:
        """Those that no process delivers to."""
        return self.filter(Q(claimed_until=None) | Q(claimed_until__lte=Now()))

    def register(
        self, organization: Organization, url: str, events: list[str], description: str = "", is_test: bool = False
    ) -> tuple[WebhookEndpoint, str]:
        """A new endpoint and its secret, which is told once; raises TooManyEndpoints."""
        secret = signing.new_secret()
        with transaction.atomic():
            Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
            if self.filter(organization=organization, is_test=is_test).count() >= MAXIMUM_ENDPOINTS:
                raise TooManyEndpoints
            fields = {"url": url, "events": events, "description": description, "is_test": is_test}
            return self.create(organization=organization, secret=signing.seal(secret), **fields), secret


class WebhookEndpoint(models.Model):
    """Where an organization wants to be told of events."""

    class Reason(models.TextChoices):
        REQUESTED = "requested"
        FAILING = "failing"
        GONE = "gone"
        UNREADABLE = "secret_unreadable"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField("URL", max_length=URL_LENGTH, validators=[validate_url])
    description = models.CharField(max_length=200, blank=True)
    is_test = models.BooleanField(
        "test endpoint",
        default=False,
        db_default=False,
        help_text="It is told of simulated charge points only. This stays as it is.",
    )
    events = models.JSONField(default=list, validators=[validate_events])
    secret = models.CharField(max_length=300, editable=False)
    previous_secret = models.CharField(max_length=300, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    paused_reason = models.CharField(max_length=20, choices=Reason, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    claim = models.UUIDField(null=True, blank=True, editable=False)
    claimed_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        ordering = ["organization", "created_at"]

    def __str__(self) -> str:
        return self.url

    @property
    def status(self) -> str:
        """`active`, `failing` while nothing succeeds, or `paused`."""
        if self.paused_at is not None:
            return "paused"
        return "failing" if self.failing_since is not None else "active"

    @property
    def mode(self) -> str:
        """As that of a key: `live` or `test`."""
        return MODES[self.is_test]

    def is_still(self, claimed: WebhookEndpoint) -> bool:
        """Whether who claimed it as it was may go on so: nobody has taken it over, paused it or changed where it is."""
        is_changed = (self.url, self.secret) != (claimed.url, claimed.secret)
        return self.paused_at is None and self.claim == claimed.claim and not is_changed

    def wants(self, kind: str, *, is_simulated: bool) -> bool:
        return (is_simulated or not self.is_test) and (ALL in self.events or kind in self.events)

    def secrets(self) -> list[str]:
        """What to sign with: the secret, and the one before it for as long as both are good."""
        is_overlapping = self.previous_secret_until is not None and self.previous_secret_until > now()
        sealed = [self.secret, self.previous_secret] if is_overlapping else [self.secret]
        return [signing.unseal(each) for each in sealed]

    def rotate_secret(self) -> str:
        """Replace the secret, which goes on signing for a day beside the new one; returns that."""
        secret = signing.new_secret()
        until = now() + OVERLAP if signing.is_readable(self.secret) else None
        rows = WebhookEndpoint.objects.filter(pk=self.pk)
        rows.update(secret=signing.seal(secret), previous_secret=F("secret"), previous_secret_until=until)
        self.refresh_from_db()
        return secret

    def change(self, **values: Any) -> None:
        """Take over what is given."""
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=[*values])

    def pause(self, reason: str = Reason.REQUESTED) -> bool:
        """Hold back what is to be delivered from now on; False if it was paused before."""
        rows = WebhookEndpoint.objects.filter(pk=self.pk, paused_at=None)
        is_changed = bool(rows.update(paused_at=Now(), paused_reason=reason))
        self.refresh_from_db()
        return is_changed

    def resume(self) -> bool:
        """Deliver what was held back, the oldest first; False if it was not paused."""
        paused = WebhookEndpoint.objects.filter(pk=self.pk).exclude(paused_at=None)
        with transaction.atomic():
            is_changed = bool(paused.update(paused_at=None, paused_reason="", failing_since=None))
            if is_changed:
                self.retry()
        self.refresh_from_db()
        return is_changed

    def retry(self) -> None:
        """Send at once what waits for its next attempt."""
        attention.draw()
        self.deliveries.pending().filter(next_attempt_at__gt=Now()).update(next_attempt_at=Now())

    def release(self) -> None:
        """Let others deliver again."""
        WebhookEndpoint.objects.filter(pk=self.pk, claim=self.claim).update(claim=None, claimed_until=Now())

    def record_health(self, succeeded: bool, at: datetime) -> None:
        """Note on the locked row that something was delivered or that nothing is, and pause what fails for too long."""
        if succeeded:
            if self.failing_since is not None and at - self.failing_since >= OUTAGE:
                self.retry()
            self._note_failing(None)
        elif self.failing_since is None:
            self._note_failing(at)
        elif at - self.failing_since >= PATIENCE:
            self.pause(self.Reason.FAILING)

    def _note_failing(self, since: datetime | None) -> None:
        if self.failing_since != since:
            self.failing_since = since
            self.save(update_fields=["failing_since"])

    def send_test(self) -> Any:
        """Have an event delivered to this endpoint that tells of nothing; returns the delivery."""
        attention.draw()
        event = Event.objects.publish_test(self.organization, {"endpoint_id": str(self.pk)})
        return self.deliveries.create(event=event)
