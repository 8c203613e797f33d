"""At most ten commands in any second reach a charge point, over all callers and workers."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ocpp16.models import Command, Message
from tests.conftest import eventually

JITTER = 0.1


def clock(charge_point: Any) -> tuple[list[float], asyncio.Task[None]]:
    """Answers every CALL at once and notes when it came."""
    moments: list[float] = []

    async def answer() -> None:
        while True:
            call = await charge_point.calls.get()
            moments.append(time.monotonic())
            await call.reply(status="Accepted")

    return moments, asyncio.create_task(answer())


async def test_sends_ten_of_thirty_and_refuses_the_others(post: Any, charge_point: Any) -> None:
    moments, answering = clock(charge_point)
    ended = await asyncio.gather(*(post("reset", type="Soft") for _ in range(30)))
    answering.cancel()
    span = max(one.seconds for one in ended)
    accepted = [one for one in ended if one.status == 200]
    limited = [one for one in ended if one.status == 429]
    assert len(accepted) + len(limited) == 30
    assert len(moments) == len(accepted)
    assert len(accepted) == 10 or (span > 1 and len(accepted) > 10)
    assert all(one.code == "rate_limited" for one in limited)
    assert all(int(one.response.headers["Retry-After"]) >= 1 for one in limited)
    rows = Command.objects.filter(state="rate_limited")
    assert rows.count() == len(limited)
    assert not rows.exclude(sent_at=None).exists()


async def test_never_sends_more_than_ten_in_any_second(post: Any, charge_point: Any) -> None:
    moments, answering = clock(charge_point)
    began = time.monotonic()
    statuses = []
    while time.monotonic() - began < 3.2:
        ended = await asyncio.gather(*(post("reset", type="Soft") for _ in range(4)))
        statuses += [one.status for one in ended]
    answering.cancel()
    assert set(statuses) <= {200, 429}
    assert len(moments) == statuses.count(200)
    assert len(moments) > 10
    assert fastest_eleven(moments) >= 1 - JITTER
    # What the server noted as it wrote is free of the jitter with which this process read.
    sent = Message.objects.filter(direction="out", kind=2).order_by("id")
    await eventually(lambda: sent.count() == len(moments))
    assert fastest_eleven([message.at.timestamp() for message in sent]) >= 1


def fastest_eleven(moments: list[float]) -> float:
    """The shortest time in which eleven came."""
    return min(eleventh - first for first, eleventh in zip(moments, moments[10:], strict=False))


async def test_keeps_ten_waiting_behind_one_that_is_not_answered(post: Any, charge_point: Any) -> None:
    requests = [post("reset", type="Soft") for _ in range(12)]
    await charge_point.expect("Reset")
    await eventually(lambda: Command.objects.exclude(state="queued").count() >= 3)
    statuses = sorted(one.status for one in await asyncio.gather(*requests))
    assert statuses.count(408) >= 10
    assert statuses == [408] * statuses.count(408) + [429] * (12 - statuses.count(408))
    assert charge_point.calls.qsize() <= 1


async def test_counts_what_left_through_an_earlier_socket(post: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    statuses: list[int] = []
    began = time.monotonic()
    for _ in range(3):
        client = await connect(row)
        _, answering = clock(client)
        statuses += [
            one.status for one in await asyncio.gather(*(post("reset", client, type="Soft") for _ in range(8)))
        ]
        answering.cancel()
    seconds = time.monotonic() - began
    assert statuses.count(200) <= 10 * (1 + int(seconds))
    assert statuses.count(200) + statuses.count(429) == 24
    assert seconds > 1 or 429 in statuses
