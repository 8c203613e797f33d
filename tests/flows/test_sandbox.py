"""The journey of an integrator who has a test key and nothing else, over real sockets and to a real receiver."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.db import connection, transaction

from chargepoints.models import ChargePoint, Transaction
from chargepoints.outbox import publish
from ocpp16 import sandbox
from ocpp16.models import Simulation
from ocpp16.models.simulation import MAXIMUM_SIMULATIONS
from ocpp16.sandbox import Sandbox
from tests.api import error_of
from tests.chargepoints.webhooks import delivering
from tests.conftest import Servers, eventually
from tests.receiver import Receiver
from tests.servers import ServerProcess, running

ROOT = "/api/v1"
MADE = f"{ROOT}/simulator/charge-points"


@pytest.fixture(autouse=True)
def quick(monkeypatch: Any, settings: Any, own_threads: None) -> None:
    settings.DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
    monkeypatch.setattr(sandbox, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(sandbox, "SAMPLE_INTERVAL", "1")


@asynccontextmanager
async def simulating(servers: Servers) -> AsyncIterator[Sandbox]:
    """A process that runs the sandbox."""
    simulated = Sandbox(servers.ws_url)
    task = asyncio.create_task(simulated.run())
    try:
        yield simulated
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def publishing() -> AsyncIterator[None]:
    """What a worker does; the server may do so, too."""

    async def run() -> None:
        while True:
            publish()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()


@pytest.fixture
async def test_api(servers: Servers, make_key: Any) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {make_key(is_test=True)}"}
    async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30) as client:
        yield client


async def make(api: httpx2.AsyncClient, identity: str = "SIM-1", **body: Any) -> Any:
    response = await api.post(MADE, json={"charge_point_id": identity, **body})
    assert response.status_code == 201, response.text
    return response.json()


async def online(api: httpx2.AsyncClient, identity: str = "SIM-1") -> Any:
    """The charge point, once it is online and each of its connectors has told its status."""
    for _ in range(200):
        told = (await api.get(f"{ROOT}/charge-points/{identity}")).json()
        if told["online"] and any(each["connector_id"] == 1 for each in told["connectors"]):
            return told
        await asyncio.sleep(0.1)
    raise AssertionError(told)


async def order(api: httpx2.AsyncClient, name: str, identity: str = "SIM-1", **body: Any) -> None:
    response = await api.post(f"{ROOT}/simulator/{name}", json={"charge_point_id": identity, **body})
    assert response.status_code == 200, response.text


async def test_from_a_test_key_to_a_session_that_a_webhook_told_of(servers: Servers, test_api: Any) -> None:
    async with Receiver() as receiver, simulating(servers), publishing(), delivering():
        events = ["session.started", "session.ended"]
        endpoint = await test_api.post(f"{ROOT}/webhooks/endpoints", json={"url": receiver.url, "events": events})
        assert endpoint.status_code == 201, endpoint.text
        made = await make(test_api)
        assert (made["is_simulated"], made["online"], "password" in made) == (True, False, False)
        assert (await online(test_api))["vendor"] == "Tarvik"

        await order(test_api, "plug_in", connector_id=1, id_tag="TAG")
        (started,) = await receiver.received(1)
        assert started.is_signed_with(endpoint.json()["secret"])
        data = started.event["data"]
        assert (data["charge_point_id"], data["id_tag"], data["is_simulated"]) == ("SIM-1", "TAG", True)
        session = f"{ROOT}/sessions/{data['transaction_id']}"
        await eventually(lambda: Transaction.objects.get(pk=data["transaction_id"]).energy_delivered_wh > 0, 30)

        await order(test_api, "unplug", connector_id=1)
        ended = (await receiver.received(2))[1].event
        assert (ended["event"], ended["data"]["reason"]) == ("session.ended", "EVDisconnected")
        assert ended["data"]["energy_delivered_wh"] > 0
        assert (await test_api.get(session)).json()["state"] == "stopped"
        feed = (await test_api.get(f"{ROOT}/events?event=session.started,session.ended")).json()
        assert [event["id"] for event in feed["events"]] == [started.event["id"], ended["id"]]


async def test_comes_back_by_itself_after_it_was_sent_offline(servers: Servers, test_api: Any) -> None:
    async with simulating(servers):
        await make(test_api, make="Brightmoor")
        await online(test_api)
        await order(test_api, "go_offline", seconds=1)
        await eventually(lambda: not ChargePoint.objects.online().exists())
        await online(test_api)


async def test_comes_back_with_another_password_where_its_own_was_changed(servers: Servers, test_api: Any) -> None:
    async with simulating(servers):
        await make(test_api)
        await online(test_api)
        assert (await test_api.post(f"{ROOT}/charge-points/SIM-1/password", json={})).is_success
        await order(test_api, "go_offline", seconds=1)
        await eventually(lambda: not ChargePoint.objects.online().exists())
        await online(test_api)


async def test_goes_on_in_another_process_where_one_has_ended(servers: Servers, test_api: Any) -> None:
    await make(test_api)
    async with simulating(servers):
        await online(test_api)
        await order(test_api, "plug_in", connector_id=1, id_tag="TAG")
        transaction = await eventually(Transaction.objects.filter(state="active").first)
        await eventually(lambda: Simulation.objects.exclude(claim=None).exists())
    async with simulating(servers):
        stopped = await eventually(Transaction.objects.filter(pk=transaction.pk, state="stopped").first, 30)
    assert stopped.stop_reason == "PowerLoss"
    assert stopped.meter_stop >= stopped.meter_start


async def test_is_deleted_with_all_that_it_did(servers: Servers, test_api: Any) -> None:
    async with simulating(servers):
        await make(test_api)
        await online(test_api)
        await order(test_api, "plug_in", connector_id=1, id_tag="TAG")
        await eventually(Transaction.objects.exists)
        response = await test_api.delete(f"{MADE}/SIM-1")
        assert (response.status_code, response.content) == (204, b"")
        assert not ChargePoint.objects.exists()
        assert not Transaction.objects.exists()
        error_of(await test_api.delete(f"{MADE}/SIM-1"), 404, "not_found")
        await make(test_api, make="Quillon")
        assert (await online(test_api))["vendor"] == "Quillon"


async def test_runs_each_in_one_process(servers: Servers, test_api: Any) -> None:
    async with simulating(servers) as one, simulating(servers) as other:
        for number in range(4):
            await make(test_api, f"SIM-{number}")
        await eventually(lambda: ChargePoint.objects.online().count() == 4)
        assert not one.running.keys() & other.running.keys()


async def test_lets_go_of_what_another_has_taken_over(servers: Servers, test_api: Any) -> None:
    await make(test_api)
    late = Sandbox(servers.ws_url)
    (claimed,) = Simulation.objects.claim(late.claim, 1)
    late.start(claimed)
    Simulation.objects.update(leased_until="2020-01-01T00:00:00Z")
    async with simulating(servers):
        await eventually(lambda: not Simulation.objects.filter(claim=late.claim).exists())
        await late.look()
        assert late.running == {}
        await online(test_api)


async def test_starts_what_it_has_claimed_and_does_not_run(servers: Servers, test_api: Any) -> None:
    """What it was told of its claim may have been lost."""
    await make(test_api)
    simulated = Sandbox(servers.ws_url)
    Simulation.objects.claim(simulated.claim, 1)
    Simulation.objects.update(leased_until="2020-01-01T00:00:00Z")
    try:
        await simulated.look()
        await online(test_api)
    finally:
        await simulated.end()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")
async def test_does_not_wait_for_who_deletes_one(test_api: Any) -> None:
    """They would wait for each other."""
    await make(test_api)
    claim = partial(sandbox.in_sandbox_thread, Simulation.objects.claim, uuid.uuid4(), 1)
    with transaction.atomic():
        ChargePoint.objects.select_for_update().get()
        async with asyncio.timeout(10):
            assert await claim() == []
    assert len(await claim()) == 1


@dataclass
class SandboxProcess(ServerProcess):
    """`simulate --sandbox`."""

    url: str = ""

    @property
    def arguments(self) -> list[str]:
        return ["simulate", "--sandbox", "--url", self.url]

    def is_ready(self) -> bool:
        return "Dynamo simulates" in self.log.read_text()


async def test_runs_as_a_process_of_its_own(servers: Servers, test_api: Any, tmp_path: Path) -> None:
    process = SandboxProcess(str(connection.settings_dict["NAME"]), tmp_path / "sandbox.log", url=servers.ws_url)
    with running(process):
        await make(test_api)
        await online(test_api)
        assert process.stop() == 0
    await eventually(lambda: not ChargePoint.objects.online().exists())
    simulation = Simulation.objects.get()
    assert (simulation.claim, simulation.leased_until) == (None, None)
    assert simulation.memory["connectors"]


async def test_takes_no_identity_that_there_is(test_api: Any, make_charge_point: Any, other_organization: Any) -> None:
    make_charge_point("MINE")
    make_charge_point("THEIRS", owner=other_organization)
    for identity in ("MINE", "THEIRS"):
        error_of(await test_api.post(MADE, json={"charge_point_id": identity}), 409, "conflict")
    for body in ({}, {"charge_point_id": "A/B"}, {"charge_point_id": "A", "make": "Acme"}):
        error_of(await test_api.post(MADE, json=body), 400, "validation_error")
    assert not Simulation.objects.exists()


async def test_deletes_no_real_charge_point(api: Any, test_api: Any, make_charge_point: Any) -> None:
    make_charge_point("REAL")
    error_of(await api.delete(f"{MADE}/REAL"), 409, "not_simulated")
    error_of(await test_api.delete(f"{MADE}/REAL"), 404, "not_found")
    assert ChargePoint.objects.exists()


async def test_makes_what_a_limited_key_reaches_and_no_more_than_it_can_run(
    api: Any, organization: Any, make_charge_point: Any, make_key: Any
) -> None:
    api.headers["Authorization"] = f"Bearer {make_key(allowed_charge_points=['SIM-1'])}"
    error_of(await api.post(MADE, json={"charge_point_id": "SIM-2"}), 403, "forbidden")
    await make(api)
    rows = [make_charge_point(is_simulated=True) for _ in range(MAXIMUM_SIMULATIONS - 1)]
    Simulation.objects.bulk_create(Simulation(charge_point=row, make="Tarvik") for row in rows)
    api.headers["Authorization"] = f"Bearer {make_key()}"
    error = error_of(await api.post(MADE, json={"charge_point_id": "SIM-2"}), 409, "conflict")
    assert str(MAXIMUM_SIMULATIONS) in error["message"]
    assert not ChargePoint.objects.filter(identity="SIM-2").exists()
