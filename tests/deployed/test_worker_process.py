"""`manage.py worker` as processes beside the servers: several share the work, and survive what it is done on."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from chargepoints.attention import GROUP, TELL_SECONDS
from chargepoints.models import ChargePoint
from dynamo.channel_layer import ChannelLayer
from tests.conftest import eventually
from tests.metrics import read_at
from tests.servers import WorkerProcess

from .conftest import Deployment
from .fleet import fleet
from .services import gone

LEASES = 1_200
EXIT_SECONDS = 15


class CountedWorker(WorkerProcess):
    def ended(self) -> int:
        """How many leases it says that it ended."""
        return sum(map(int, re.findall(r"(\d+) leases that ran out were ended", self.log.read_text())))


@pytest.fixture
def beside(deployment: Deployment, servers: Any) -> Iterator[Callable[..., CountedWorker]]:
    """Launches processes."""
    launched: list[CountedWorker] = []

    def launch(listens: bool = False) -> CountedWorker:
        log, name = deployment.logs / f"beside-{time.monotonic_ns()}.log", str(connection.settings_dict["NAME"])
        launched.append(CountedWorker(name, log, deployment.environment, listens=listens))
        launched[-1].launch()
        return launched[-1]

    yield launch
    for process in launched:
        if process.process.poll() is None:
            process.process.kill()


def lapse() -> None:
    """Have every charge point be on a server that died."""
    ran_out_at = timezone.now() - timedelta(seconds=1)
    ChargePoint.objects.update(channel_name="ocpp16.dead", online_until=ran_out_at, disconnected_at=None)


async def test_share_the_work(beside: Callable[..., CountedWorker], organization: Any) -> None:
    rows = [ChargePoint(organization=organization, identity=f"DEAD-{number}") for number in range(LEASES)]
    ChargePoint.objects.bulk_create(rows)
    lapse()
    processes = [beside(), beside()]
    for process in processes:
        await asyncio.to_thread(process.wait)
    await eventually(lambda: not ChargePoint.objects.exclude(online_until=None).exists(), 30)
    await eventually(lambda: sum(process.ended() for process in processes) == LEASES)
    assert {await asyncio.to_thread(process.stop) for process in processes} == {0}


async def test_go_on_after_the_database_was_away(
    deployment: Deployment, beside: Callable[..., CountedWorker], make_charge_point: Any
) -> None:
    process = beside(listens=True)
    await asyncio.to_thread(process.wait)
    async with gone(deployment.postgresql):
        await eventually(lambda: "WARNING dynamo.worker" in process.log.read_text(), 30)
    connection.close()
    row = make_charge_point()
    lapse()
    await eventually(lambda: ChargePoint.objects.get(pk=row.pk).disconnected_at, 30)
    read = read_at(process.port)
    assert read("dynamo_worker_failures_total") >= 1
    await eventually(lambda: read("dynamo_worker_rows_total", duty="leases") == 1)
    told_at = time.monotonic()
    assert await asyncio.to_thread(process.stop) == 0
    assert time.monotonic() - told_at < EXIT_SECONDS


async def test_are_told_of_what_happens_on_a_server(
    deployment: Deployment, servers: Any, make_charge_point: Any
) -> None:
    layer = ChannelLayer([deployment.redis.url])
    channel = await layer.new_channel()
    await layer.group_add(GROUP, channel)
    hearing = asyncio.ensure_future(layer.receive(channel))
    async with fleet(deployment, make_charge_point, 1) as (client,), asyncio.timeout(2 * TELL_SECONDS):
        while not hearing.done():  # it may have told of something else just before
            await client.boot()
            await asyncio.wait([hearing], timeout=0.5)
    assert hearing.result() == {"type": "attention.drawn"}
    await layer.flush()
