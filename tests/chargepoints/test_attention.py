"""How often the worker looks for what it has to do, and who makes it look."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.db import transaction

from chargepoints import attention as module
from chargepoints.attention import ATTENTIVE_SECONDS, GROUP, QUIET_SECONDS, Attention, attention
from chargepoints.looks import is_any
from chargepoints.models import ChargePoint, WebhookDelivery, WebhookEndpoint
from chargepoints.models.event import Happened, note_now
from chargepoints.tasks import cancel_all
from dynamo import worker
from ocpp16.models import BulkCommand, Simulation
from tests.conftest import eventually


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds, as its only item."""
    time = [1_000 * QUIET_SECONDS]
    monkeypatch.setattr(module, "monotonic", lambda: time[0])
    return time


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Attention:
    """This process's, in which nothing happens and nothing has."""
    monkeypatch.setattr(attention, "_until", 0.0)
    return attention


@asynccontextmanager
async def running(*duties: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(duty) for duty in duties]
    try:
        yield
    finally:
        await cancel_all(tasks)


def is_drawn(paid: Attention) -> bool:
    """Whether it looks, though it has just done so."""
    paid.is_due("look")
    return paid.is_due("look")


def test_looks_seldom_while_nothing_happens(clock: list[float]) -> None:
    paid, looked = Attention(), []
    for _ in range(4 * QUIET_SECONDS):
        looked.append(paid.is_due("look"))
        clock[0] += 0.5
    assert looked == ([True] + [False] * (2 * QUIET_SECONDS - 1)) * 2


def test_looks_each_time_for_a_while_after_something_happened(clock: list[float]) -> None:
    paid = Attention()
    paid.is_due("look")
    paid.draw()
    clock[0] += ATTENTIVE_SECONDS - 0.1
    assert paid.is_due("look")
    clock[0] += 0.1
    assert not is_drawn(paid)


def test_looks_for_each_thing_in_its_turn(clock: list[float]) -> None:
    paid = Attention()
    assert [paid.is_due(look) for look in ("one", "other", "one")] == [True, True, False]


@pytest.mark.django_db(transaction=True)
async def test_finds_nothing_between_two_looks(make_charge_point: Any, clock: list[float], quiet: Attention) -> None:
    clock[0] += 10 * QUIET_SECONDS  # others may have looked
    assert not await is_any(ChargePoint.objects.all)
    make_charge_point()
    assert not await is_any(ChargePoint.objects.all)
    clock[0] += QUIET_SECONDS
    assert await is_any(ChargePoint.objects.all)
    assert is_drawn(quiet)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("bring_about", ["event", "test", "resume", "resend", "bulk", "simulation"])
def test_is_drawn_by_what_the_worker_has_to_do(
    bring_about: str, make_charge_point: Any, organization: Any, quiet: Attention
) -> None:
    row = make_charge_point()
    endpoint = WebhookEndpoint.objects.create(organization=organization, url="https://example.com/", events=["*"])
    endpoint.pause()
    actions: dict[str, Callable[[], Any]] = {
        "event": lambda: note_now(Happened(row.pk, "charge_point.booted", {})),
        "test": endpoint.send_test,
        "resume": endpoint.resume,
        "resend": WebhookDelivery.objects.all().resend,
        "bulk": lambda: BulkCommand.objects.order(
            [row.pk], action="ClearCache", payload={}, at_once=1, organization=organization
        ),
        "simulation": lambda: Simulation.objects.begin(row, "Acme"),
    }
    assert not is_drawn(quiet)
    with transaction.atomic():
        actions[bring_about]()
    assert is_drawn(quiet)


async def test_is_drawn_by_a_thread_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_SECONDS", 0)
    here, there = Attention(), Attention()

    def told() -> bool:
        thread = threading.Thread(target=here.draw)
        thread.start()
        thread.join()
        return is_drawn(there)

    async with running(here.tell(), there.heed()):
        await asyncio.sleep(0)
        assert is_drawn(there)  # as it begins
        there._until = 0.0
        await eventually(told)


def test_is_drawn_though_nobody_can_be_told_any_more() -> None:
    """A thread may store something when the loop has just ended; it must not fail for that."""
    here = Attention()

    async def begin() -> None:
        async with running(here.tell()):
            await asyncio.sleep(0)
            loops.append(here._loop)

    loops: list[Any] = []
    asyncio.run(begin())
    here._loop = loops[0]
    here.draw()
    assert is_drawn(here)


async def test_tells_the_others_seldom(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    here = Attention()

    async def group_send(group: str, message: Any) -> None:
        told.append(group)

    monkeypatch.setattr(get_channel_layer(), "group_send", group_send, raising=False)
    async with running(here.tell()):
        await asyncio.sleep(0)
        for expected in (1, 1, 2):
            here.draw()
            await asyncio.sleep(0.01)
            assert told == [GROUP] * expected
            clock[0] += module.TELL_SECONDS * 0.6


async def test_goes_on_through_failures_of_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "TELL_SECONDS", 0)
    layer, here, there, failing = get_channel_layer(), Attention(), Attention(), ["group_send", "receive"]
    originals = {name: getattr(layer, name) for name in failing}

    def make(name: str) -> Callable[..., Awaitable[Any]]:
        async def fail_once(*arguments: Any) -> Any:
            if name in failing:
                failing.remove(name)
                raise OSError(name)
            return await originals[name](*arguments)

        return fail_once

    for name in originals:
        monkeypatch.setattr(layer, name, make(name), raising=False)
    async with running(here.tell(), there.heed()):

        def told() -> bool:
            here.draw()
            return is_drawn(there)

        await eventually(lambda: told() and not failing)
        there._until = 0.0
        await eventually(told)


@pytest.mark.django_db(transaction=True)
async def test_does_not_draw_that_of_others_by_what_it_finds(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that is kept for a day would keep all processes awake."""
    make_charge_point()
    monkeypatch.setattr(attention, "_loop", asyncio.get_running_loop())
    monkeypatch.setattr(attention, "_told_at", 0.0)
    attention.hold()
    assert await is_any(ChargePoint.objects.all)
    assert attention._told_at == 0


@pytest.mark.django_db(transaction=True)
async def test_is_drawn_from_when_a_worker_begins(quiet: Attention) -> None:
    async with running(worker.run()):
        await eventually(lambda: is_drawn(quiet))
