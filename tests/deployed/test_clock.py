"""A worker whose clock jumps an hour while the others' stay, and sockets that say nothing for long: all live on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from chargepoints.models import ChargePoint
from ocpp16.models import Command
from tests.charge_point import ChargePointClient
from tests.metrics import Read, read_at
from tests.servers import COMMAND_TIMEOUT, ServerProcess

from .fleet import assert_all_live, fleet, reset, timed

pytestmark = pytest.mark.timeout(300)

# What Python imports when it starts: from then on the file says how many seconds the clock is off.
SITECUSTOMIZE = """
import time
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

true_time, true_now = time.time, timezone.now


def shift():
    return float(Path({path!r}).read_text())


time.time = lambda: true_time() + shift()
timezone.now = lambda: true_now() + timedelta(seconds=shift())
"""


class Clock:
    """The clock of one worker."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "shift"
        self.jump(0)
        (folder / "sitecustomize.py").write_text(SITECUSTOMIZE.format(path=str(self.file)))

    def jump(self, seconds: int) -> None:
        draft = self.folder / "draft"
        draft.write_text(str(seconds))
        draft.rename(self.file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture(scope="module")
def jumping(deployment: Any, clock: Clock) -> ServerProcess:
    return deployment.worker(PYTHONPATH=str(clock.folder))


async def test_keeps_leases_timeouts_and_idle_sockets(
    deployment: Any,
    servers: Any,
    jumping: ServerProcess,
    clock: Clock,
    api: httpx2.AsyncClient,
    make_charge_point: Callable[..., Any],
    moved: Read,
    scale: Callable[[int, int], int],
) -> None:
    opened = time.monotonic()
    async with (
        fleet(deployment, make_charge_point, 3) as idle,  # one of them on the worker whose clock jumps
        fleet(deployment, make_charge_point, 3) as clients,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{jumping.port}", headers=api.headers, timeout=30) as its_own,
    ):
        for hours in (1, -1, 0):
            clock.jump(hours * 3600)
            await all_online([api, its_own], 6)
            for one in (api, its_own):
                for client in clients:
                    await answered(one, client)
            await times_out(its_own, clients[2])
            assert_shifted(jumping, hours)
            await reserves(its_own, clients[0])
            await locks_out([jumping, deployment.workers[0]], f"nobody {hours}")
        assert_all_live(clients)
        await asyncio.sleep(max(0, opened + scale(30, 300) - time.monotonic()))  # what is waited for is that nothing is
        assert_all_live(idle)
        for client in idle:
            await answered(api, client)
        assert moved("dynamo_leases_total", outcome="lost") == moved("dynamo_channel_layer_failures_total") == 0
        assert moved("dynamo_leases_total", outcome="renewed") > 0


async def all_online(apis: list[httpx2.AsyncClient], count: int) -> None:
    """By the word of every worker, and of the database."""
    for api in apis:
        response = await api.get("/api/v1/ocpp16/charge_points/status")
        assert [row["online"] for row in response.json()["charge_points"]] == [True] * count
    assert ChargePoint.objects.online().count() == count


async def times_out(api: httpx2.AsyncClient, client: ChargePointClient) -> None:
    """A command that is not answered ends after its time: neither sooner nor later."""
    response, seconds = await timed(reset(api, client))
    assert response.json()["error"]["code"] == "timeout"
    assert COMMAND_TIMEOUT * 0.9 < seconds < COMMAND_TIMEOUT + 5
    await client.expect("Reset")


def assert_shifted(server: ServerProcess, hours: int) -> None:
    """The worker's clock is off, which no lease and no date of a command shows."""
    read, command = read_at(server.port), Command.objects.latest("created_at")
    assert abs(read("dynamo_clock_ahead_seconds") - hours * 3600) < 60
    assert read("dynamo_leases_expired") == 0
    assert command.ended_at is not None
    assert timedelta() <= command.ended_at - command.created_at < timedelta(minutes=1)


async def reserves(api: httpx2.AsyncClient, client: ChargePointClient) -> None:
    """What ends in half an hour may be reserved until then, and what ended half an hour ago may not."""
    body = {"charge_point_id": client.identity, "connector_id": 1, "id_tag": "TAG", "reservation_id": 1}
    moments = {minutes: timezone.now() + timedelta(minutes=minutes) for minutes in (-30, 30)}
    url = "/api/v1/ocpp16/reserve_now"
    refused = await api.post(url, json={**body, "expiry_date": moments[-30].isoformat()})
    assert refused.status_code == 400
    sending = asyncio.create_task(api.post(url, json={**body, "expiry_date": moments[30].isoformat()}))
    await (await client.expect("ReserveNow")).reply(status="Accepted")
    assert (await sending).status_code == 200


async def locks_out(servers: list[ServerProcess], name: str) -> None:
    """Ten failed logins, in turn on one worker and the other, lock the name out on both for a quarter of an hour."""
    async with httpx2.AsyncClient(timeout=30) as client:
        answers = [await fail(client, server, name) for server in servers * 6]
    assert [answer.status_code for answer in answers] == [200] * 9 + [429] * 3
    assert all(880 < int(answer.headers["Retry-After"]) <= 900 for answer in answers[9:])


async def fail(client: httpx2.AsyncClient, server: ServerProcess, name: str) -> httpx2.Response:
    url = f"http://127.0.0.1:{server.port}/admin/login/"
    await client.get(url)
    form = {"username": name, "password": "wrong", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    return await client.post(url, data=form)


async def answered(api: httpx2.AsyncClient, client: ChargePointClient) -> None:
    sending = asyncio.create_task(reset(api, client))
    await (await client.expect("Reset")).reply(status="Accepted")
    assert (await sending).status_code == 200
