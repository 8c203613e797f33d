"""What happened, as those hear of it who wait for events."""

from __future__ import annotations

import re
from typing import Any

from chargepoints.events import EVENTS, body
from chargepoints.models import Event, OutboxEvent
from chargepoints.outbox import publish

from .conftest import eventually

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def published(row: Any, *types: str) -> list[dict[str, Any]]:
    """The events of a charge point so far, of these types or all, in their order; each is as it is described."""
    await eventually(is_published)
    events = Event.objects.filter(charge_point=row).select_related("charge_point").order_by("pk")
    told = [body(event) for event in events if not types or event.type in types]
    for event in told:
        assert_described(event)
    return told


def is_published() -> bool:
    publish()  # the process under test may do so, too
    return not OutboxEvent.objects.exists()


async def data_of(row: Any, *types: str) -> list[dict[str, Any]]:
    return [event["data"] for event in await published(row, *types)]


async def types_of(row: Any) -> list[str]:
    return [event["event"] for event in await published(row)]


def assert_described(event: dict[str, Any]) -> None:
    """The event is as EVENTS describes it, with nothing more and nothing less."""
    assert list(event) == ["id", "event", "created_at", "data"]
    assert TIME.fullmatch(event["created_at"])
    serializer = EVENTS[event["event"]].data(data=event["data"])
    assert list(event["data"]) == list(serializer.fields)
    assert serializer.is_valid(), serializer.errors
