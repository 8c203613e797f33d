"""What tests of webhooks share: endpoints, events for them, and a deliverer in the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from chargepoints.models import OutboxEvent, WebhookDelivery, WebhookEndpoint
from chargepoints.models.event import Happened
from chargepoints.outbox import publish
from chargepoints.webhooks.deliverer import Deliverer
from tests.conftest import eventually

KIND = "security.event"


def register(organization: Any, url: str, events: Any = ("*",)) -> tuple[WebhookEndpoint, str]:
    return WebhookEndpoint.objects.register(organization, url, list(events))


def happen(row: Any, *marks: str, kind: str = KIND) -> None:
    """Have events of a charge point published that carry these marks."""
    data = {"technical_information": None, "timestamp": "2026-01-01T00:00:00Z"}
    OutboxEvent.objects.record(Happened(row.pk, kind, {"type": mark, **data}) for mark in marks)
    while OutboxEvent.objects.exists():
        publish()


def mark(request: Any) -> str:
    return request.event["data"]["type"]


@asynccontextmanager
async def delivering() -> AsyncIterator[None]:
    """Deliver in this process; one of the server's, where it does that too, is no hindrance."""
    task = asyncio.create_task(Deliverer().run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settled(endpoint: Any) -> list[WebhookDelivery]:
    """The deliveries to an endpoint, oldest first, when none is pending any more and nobody has claimed it."""
    deliveries = WebhookDelivery.objects.filter(endpoint=endpoint).select_related("event").order_by("event_id")
    claimed = WebhookEndpoint.objects.filter(pk=endpoint.pk).exclude(claim=None)
    await eventually(lambda: not deliveries.pending().exists() and not claimed.exists())
    return list(deliveries)
