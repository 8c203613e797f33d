"""Every event arrives, whatever receivers answer and whichever process is killed."""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from typing import Any

import pytest
from django.db.models.functions import Now

from chargepoints.models import Event, OutboxEvent, WebhookDelivery, WebhookEndpoint
from chargepoints.models.event import Happened
from tests.conftest import eventually
from tests.receiver import Delivered, Receiver
from tests.servers import WorkerProcess, running

from .conftest import Deployment

BATCH = 50


@pytest.fixture
def workers(deployment: Deployment, servers: Any) -> Iterator[list[WorkerProcess]]:
    """Two processes that deliver."""
    name, made = deployment.workers[0].database_name, []
    with ExitStack() as stack:
        for number in range(2):
            log = deployment.logs / f"beside-{number}.log"
            made.append(stack.enter_context(running(WorkerProcess(name, log, deployment.environment))))
        yield made


# Of one event: the delay until the next attempt doubles with each, and could come to minutes.
FAILURES = 5


class Unreliable:
    """Answers a third of all requests with a failure; `taken` are the events that it said it had, in their order."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, Any]] = {}
        self.failed: Counter[str] = Counter()

    def __call__(self, request: Delivered) -> tuple[int, bytes]:
        if self.failed[request.id] < FAILURES and random.random() < 1 / 3:
            self.failed[request.id] += 1
            return random.choice([500, 503, 404]), b""
        self.taken.setdefault(request.id, request.event["data"])
        return 200, b""


def happenings(rows: list[Any], count: int) -> Iterator[Happened]:
    for number in range(count):
        yield Happened(rows[number % len(rows)].pk, "security.event", {"type": str(number)})


async def kill(worker: WorkerProcess, waits: bool) -> None:
    """As a crash ends it; what it had claimed is free after a while, or at once."""
    worker.stop(signal.SIGKILL)
    if not waits:
        WebhookEndpoint.objects.update(claimed_until=Now())
    await asyncio.to_thread(worker.start)


@pytest.mark.timeout(3600)
async def test_delivers_every_event_through_failures_and_kills(
    workers: list[WorkerProcess],
    organization: Any,
    make_charge_point: Any,
    scale: Callable[[int, int], int],
) -> None:
    rows, count = [make_charge_point() for _ in range(scale(10, 50))], scale(300, 10_000)
    unreliable = Unreliable()
    async with Receiver(unreliable) as receiver:
        WebhookEndpoint.objects.register(organization, receiver.url, ["*"])
        coming, written = happenings(rows, count), 0
        kills = iter(range(count // 4, count, count // 4))
        kill_at = next(kills)
        while batch := list(islice(coming, BATCH)):
            OutboxEvent.objects.record(batch)
            written += len(batch)
            await eventually(lambda: len(unreliable.taken) >= written - 2 * BATCH, 120)  # noqa: B023  called at once
            if written >= kill_at:
                await kill(random.choice(workers), waits=bool(scale(0, 1)))
                kill_at = next(kills, count + 1)
        await eventually(lambda: len(unreliable.taken) == count, scale(60, 1800))
        await eventually(lambda: not WebhookDelivery.objects.pending().exists(), 60)
    assert Event.objects.count() == count
    for row in rows:
        told = [int(data["type"]) for data in unreliable.taken.values() if data["charge_point_id"] == row.identity]
        assert told == sorted(told)


async def test_delivers_while_the_other_process_hangs(
    workers: list[WorkerProcess], organization: Any, make_charge_point: Any
) -> None:
    row = make_charge_point()
    async with Receiver() as receiver:
        WebhookEndpoint.objects.register(organization, receiver.url, ["*"])
        workers[0].process.send_signal(signal.SIGSTOP)
        try:
            for number in range(3):
                OutboxEvent.objects.record(happenings([row], 1))
                await receiver.received(number + 1)
        finally:
            workers[0].process.send_signal(signal.SIGCONT)
    assert len({request.id for request in receiver.requests}) == 3
