"""What operators see of events on their way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from chargepoints import metrics
from chargepoints.models import Event, OutboxEvent, WebhookDelivery
from chargepoints.models.event import Happened
from chargepoints.models.webhook_delivery import Attempt
from chargepoints.webhooks.client import Answer
from chargepoints.webhooks.deliverer import record
from dynamo.metrics import read_shared

from .webhooks import happen, register

pytestmark = pytest.mark.django_db(transaction=True)


def age(model: Any, **ago: float) -> None:
    model.objects.update(created_at=timezone.now() - timedelta(**ago))


def test_shows_how_long_the_oldest_event_waits_to_be_published(make_charge_point: Any) -> None:
    assert read_shared()["dynamo_outbox_seconds"] == 0
    OutboxEvent.objects.record([Happened(make_charge_point().pk, "security.event", {})])
    age(OutboxEvent, minutes=5)
    assert read_shared()["dynamo_outbox_seconds"] >= 300


def test_shows_how_long_the_oldest_event_waits_for_an_active_endpoint(
    organization: Any, other_organization: Any, make_charge_point: Any
) -> None:
    for owner in (organization, other_organization):
        register(owner, "https://receiver.example/")
        happen(make_charge_point(owner=owner), "a", "b")
    age(Event, hours=1)
    Event.objects.filter(organization=other_organization).update(created_at=timezone.now() - timedelta(hours=2))
    assert 7200 <= read_shared()["dynamo_webhook_lag_seconds"] < 7300
    other_organization.webhook_endpoints.get().pause()
    assert 3600 <= read_shared()["dynamo_webhook_lag_seconds"] < 3700
    WebhookDelivery.objects.update(state="delivered")
    assert read_shared()["dynamo_webhook_lag_seconds"] == 0


def test_shows_endpoints_that_were_paused_though_nobody_asked(organization: Any) -> None:
    asked, failing = (register(organization, "https://receiver.example/")[0] for _ in range(2))
    asked.pause()
    assert read_shared()["dynamo_webhook_endpoints_paused"] == 0
    failing.pause("failing")
    assert read_shared()["dynamo_webhook_endpoints_paused"] == 1


def counted(name: str, outcome: str) -> float:
    return REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0


def test_counts_requests_by_their_answer() -> None:
    answers = {"2xx": Answer(204), "4xx": Answer(404), "5xx": Answer(503), "error": Answer(error="away")}
    before = {outcome: counted("dynamo_webhook_attempts_total", outcome) for outcome in answers}
    for answer in answers.values():
        metrics.webhook_answered(answer)
    for outcome in answers:
        assert counted("dynamo_webhook_attempts_total", outcome) == before[outcome] + 1


def test_counts_deliveries_by_their_end(organization: Any, make_charge_point: Any) -> None:
    endpoint, _ = register(organization, "https://receiver.example/")
    happen(make_charge_point(), "a", "b", "c")
    delivered, given_up, failed = WebhookDelivery.objects.order_by("event_id")
    given_up.gives_up_at = timezone.now()
    answers = [(delivered, Answer(200)), (given_up, Answer(500)), (failed, Answer(500))]
    before = [counted("dynamo_webhook_deliveries_total", state) for state in ("delivered", "given_up", "pending")]
    record([Attempt(delivery, endpoint, timezone.now(), answer) for delivery, answer in answers])
    after = [counted("dynamo_webhook_deliveries_total", state) for state in ("delivered", "given_up", "pending")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1, 0]
