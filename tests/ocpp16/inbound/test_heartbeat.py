"""Heartbeat, and signs of life."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from chargepoints.models import ChargePoint
from tests.conftest import eventually


async def test_tells_the_time_in_utc(charge_point: Any) -> None:
    answer = await charge_point.call("Heartbeat")
    assert list(answer) == ["currentTime"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", answer["currentTime"])
    assert abs(datetime.fromisoformat(answer["currentTime"]) - datetime.now(UTC)) < timedelta(seconds=3)


async def test_shows_when_the_charge_point_last_said_something(charge_point: Any, row: Any) -> None:
    ChargePoint.objects.filter(pk=row.pk).update(last_seen_at="2020-01-01T00:00:00Z")
    said_at = datetime.now(UTC).replace(microsecond=0)
    await charge_point.call("Heartbeat")
    answered_at = datetime.now(UTC)

    def seen() -> bool:
        row.refresh_from_db()
        return row.last_seen_at >= said_at

    await eventually(seen)
    assert row.last_seen_at <= answered_at


async def test_counts_any_message_as_a_sign_of_life(charge_point: Any, row: Any) -> None:
    ChargePoint.objects.filter(pk=row.pk).update(last_seen_at=None)
    await charge_point.call("Authorize", {"idTag": "TAG"})
    await eventually(lambda: ChargePoint.objects.get(pk=row.pk).last_seen_at)
