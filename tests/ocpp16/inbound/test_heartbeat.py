"""Heartbeat, and signs of life."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from chargepoints.models import ChargePoint
from ocpp16.consumers import TOLD_AT_ONCE
from tests.charge_point import CallErrorReceived
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


async def answer(charge_point: Any) -> str:
    """What a Heartbeat is answered with: `told`, or the code of the CALLERROR."""
    try:
        await charge_point.call("Heartbeat")
    except CallErrorReceived as refused:
        return refused.code
    return "told"


async def is_answered(charge_point: Any, expected: str) -> None:
    """Return once Heartbeats are answered so."""
    deadline = time.monotonic() + 10
    while (last := await answer(charge_point)) != expected:
        assert time.monotonic() < deadline, last
        await asyncio.sleep(0.05)


async def test_tells_no_time_soon_after_staff_have_rejected_it(charge_point: Any, row: Any) -> None:
    await is_answered(charge_point, "told")
    ChargePoint.objects.filter(pk=row.pk).update(registration_status="Rejected")
    await is_answered(charge_point, "SecurityError")
    ChargePoint.objects.filter(pk=row.pk).update(registration_status="Accepted")
    await is_answered(charge_point, "told")


async def test_is_told_the_time_after_what_it_asked_before(charge_point: Any) -> None:
    await is_answered(charge_point, "told")
    for number in range(20):
        await charge_point.send([2, f"a{number}", "Authorize", {"idTag": "TAG"}])
        await charge_point.send([2, f"h{number}", "Heartbeat", {}])
    answered = [(await charge_point.frame())[1] for _ in range(40)]
    assert answered == [f"{kind}{number}" for number in range(20) for kind in "ah"]


async def test_is_told_the_time_in_a_flood_of_its_own_too(charge_point: Any) -> None:
    await is_answered(charge_point, "told")
    count = 3 * TOLD_AT_ONCE
    for number in range(count):
        await charge_point.send([2, f"f{number}", "Heartbeat", {}])
    frames = [await charge_point.frame() for _ in range(count)]
    assert [(kind, message_id) for kind, message_id, _ in frames] == [(3, f"f{number}") for number in range(count)]
