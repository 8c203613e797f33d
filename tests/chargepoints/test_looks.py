"""What is looked for again and again: together, and at the same time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chargepoints import looks
from chargepoints.looks import Question, ask, is_any
from chargepoints.models import ChargePoint, OutboxEvent, WebhookDelivery
from chargepoints.tasks import tick


@pytest.mark.django_db(transaction=True)
async def test_answers_all_who_ask_at_the_same_time_by_one_statement(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_charge_point()
    asked: list[int] = []

    def counted(questions: list[Question]) -> None:
        asked.append(len(questions))
        ask(questions)

    monkeypatch.setattr(looks._questions, "_work", counted)
    waiting = (WebhookDelivery.objects.ready_endpoints, ChargePoint.objects.all, OutboxEvent.objects.all)
    assert await asyncio.gather(*map(is_any, waiting)) == [False, True, False]
    assert asked == [3]


@pytest.mark.without_services
@pytest.mark.parametrize("seconds", [0.5, 1, 10])
async def test_wakes_those_who_look_as_often_at_the_same_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    woken_at: list[float] = []

    async def sleep(delay: float) -> None:
        woken_at.append(asyncio.get_running_loop().time() + delay)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await tick(seconds)
    assert woken_at[0] / seconds == pytest.approx(round(woken_at[0] / seconds), abs=0.02)
    assert woken_at[0] <= asyncio.get_running_loop().time() + seconds
