"""The life of a simulated charge point against a central system that is not ours."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ocpp.v16 import call
from websockets.asyncio.server import ServerConnection, serve

from ocpp16.simulator import fleet
from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.makes import MAKES, parse_time
from ocpp16.simulator.memory import recollect, restore
from tests.conftest import eventually
from tests.ocpp16.central_system import DEADLINE, CentralSystem, running_central_system, simulated, start

pytestmark = pytest.mark.without_services

ONE_CONNECTOR, TWO_CONNECTORS, SINGLE_PHASE, RAPID, HIGH_POWER = MAKES


class TestConnection:
    async def test_boots_and_reports_every_connector(self, central_system):
        async with simulated(central_system, TWO_CONNECTORS):
            booted = central_system.sent("BootNotification")[0]
            assert (booted["charge_point_vendor"], booted["charge_point_model"]) == ("Brightmoor", "Duo 22")
            statuses = {sent["connector_id"]: sent["status"] for sent in central_system.sent("StatusNotification")}
            assert statuses == {0: "Available", 1: "Available", 2: "Available"}

    async def test_asks_again_until_it_is_accepted(self, central_system):
        central_system.registration, central_system.interval = "Pending", 1
        charge_point = ChargePoint(central_system.url, "SIM-1")
        task = asyncio.create_task(fleet.run(charge_point))
        await central_system.expect("BootNotification")
        await central_system.expect("BootNotification")
        assert {action for action, _ in central_system.received} == {"BootNotification"}
        assert (await central_system.command(call.RemoteStartTransaction("TAG", 1))).status == "Rejected"
        central_system.registration = "Accepted"
        await central_system.expect("StatusNotification", connector_id=1)
        task.cancel()

    async def test_a_pending_one_sends_what_is_triggered(self, central_system):
        central_system.registration = "Pending"
        charge_point = ChargePoint(central_system.url, "SIM-1")
        task = asyncio.create_task(fleet.run(charge_point))
        await central_system.expect("BootNotification")
        await central_system.command(call.TriggerMessage("StatusNotification", 1))
        await central_system.expect("StatusNotification", connector_id=1)
        task.cancel()

    async def test_takes_the_heartbeat_interval_from_the_answer(self, central_system):
        central_system.interval = 1
        async with simulated(central_system):
            await central_system.expect("Heartbeat")
            await central_system.expect("Heartbeat")

    async def test_does_not_boot_again_when_only_the_line_was_lost(self, central_system):
        async with simulated(central_system) as charge_point:
            charge_point.lose_connection(0.05)
            await central_system.expect("StatusNotification", connector_id=1)
            assert len(central_system.sockets) == 2
            assert len(central_system.sent("BootNotification")) == 1

    async def test_one_make_boots_at_each_connection(self, central_system):
        async with simulated(central_system, RAPID) as charge_point:
            charge_point.lose_connection(0.05)
            await central_system.expect("BootNotification")
            assert len(central_system.sockets) == 2

    async def test_returns_when_the_central_system_was_away(self):
        async with running_central_system() as first:
            port = int(first.url.split(":")[2].split("/")[0])
            charge_point = ChargePoint(first.url, "SIM-1", longest_wait=0.2)
            task = asyncio.create_task(fleet.run(charge_point))
            await first.expect("StatusNotification", connector_id=1)
        async with running_central_system(port) as second:
            await second.expect("StatusNotification", connector_id=1)
        task.cancel()

    async def test_offers_ocpp16_and_its_password(self):
        seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        async def converse(socket: ServerConnection) -> None:
            seen.set_result((socket.subprotocol, socket.request.path, socket.request.headers["Authorization"]))
            await socket.wait_closed()

        async with serve(converse, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp/"
            charge_point = ChargePoint(url, "A B", password="pass:word")
            task = asyncio.create_task(fleet.run(charge_point))
            async with asyncio.timeout(DEADLINE):
                assert await seen == ("ocpp1.6", "/ocpp/A%20B", "Basic QSBCOnBhc3M6d29yZA==")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class TestOffline:
    async def test_replays_a_session_in_order_with_its_own_times(self, central_system):
        async with simulated(central_system, longest_wait=0.1) as charge_point:
            charge_point.configuration["MeterValueSampleInterval"] = "1"
            transaction_id = await start(central_system)
            (connector,) = charge_point.connectors
            charge_point.lose_connection(1.5)
            await eventually(lambda: len(charge_point.outbox) >= 1)
            connector.end("Local")
            ended = datetime.now(UTC)
            connector.unplug()
            connector.plug_in(charge_point.arriving_vehicle())
            assert await charge_point.authorize("NEXT")
            connector.begin("NEXT")
            mark = len(central_system.received)
            stopped = await central_system.expect("StopTransaction", transaction_id=transaction_id, reason="Local")
            await central_system.expect("StartTransaction", id_tag="NEXT")
            await central_system.expect("MeterValues", transaction_id=transaction_id + 1)
        assert abs((parse_time(stopped["timestamp"]) - ended).total_seconds()) < 1.1
        about = ("StartTransaction", "StopTransaction", "MeterValues")
        replayed = [name for name, _ in central_system.received[mark:] if name in about]
        assert replayed[-3:] == ["StopTransaction", "StartTransaction", "MeterValues"]
        assert set(replayed[:-3]) == {"MeterValues"}

    async def test_keeps_a_session_going_over_a_lost_connection(self, central_system):
        async with simulated(central_system, longest_wait=0.1) as charge_point:
            transaction_id = await start(central_system)
            charge_point.lose_connection(0.05)
            await central_system.expect("StatusNotification", connector_id=1, status="Charging")
            assert (await central_system.command(call.RemoteStopTransaction(transaction_id))).status == "Accepted"
            await central_system.expect("StopTransaction", transaction_id=transaction_id)
            assert len(central_system.sent("StartTransaction")) == 1

    async def test_lets_nobody_charge_whom_it_knows_to_be_refused(self, central_system):
        central_system.tags["BAD"] = {"status": "Blocked"}
        async with simulated(central_system) as charge_point:
            assert not await charge_point.authorize("BAD")
            charge_point.lose_connection(5)
            await eventually(lambda: not charge_point.is_online)
            assert not await charge_point.authorize("BAD")
            assert await charge_point.authorize("STRANGER")
            charge_point.configuration["AllowOfflineTxForUnknownId"] = "false"
            assert not await charge_point.authorize("STRANGER")


class TestScenarios:
    async def test_live_drivers_come_and_go(self, central_system):
        async with simulated(central_system, RAPID, "live", speed=2_000):
            for _ in range(3):
                await central_system.expect("StartTransaction")
                await central_system.expect("StopTransaction")
        tags = {started["id_tag"] for started in central_system.sent("StartTransaction")}
        assert tags <= {f"SIM-TAG-{number}" for number in range(1, 7)}

    async def test_live_connectors_fault_now_and_then(self, central_system):
        async with simulated(central_system, ONE_CONNECTOR, "live", speed=10_000):
            await central_system.expect("StatusNotification", status="Faulted")
            await central_system.expect("StatusNotification", error_code="NoError")

    async def test_live_statuses_follow_the_state_machine(self, central_system):
        async with simulated(central_system, RAPID, "live", speed=2_000):
            for _ in range(4):
                await central_system.expect("StopTransaction")
        before: dict[int, str] = {}
        steps = defaultdict(set)
        for sent in central_system.sent("StatusNotification"):
            steps[before.get(sent["connector_id"], "")].add(sent["status"])
            before[sent["connector_id"]] = sent["status"]
        assert steps["Available"] <= {"Available", "Preparing", "Faulted"}
        assert steps["Charging"] <= {"SuspendedEV", "Finishing", "Faulted"}
        assert steps["Finishing"] <= {"Available", "Faulted"}

    async def test_live_drivers_end_what_was_started_for_them(self, central_system):
        async with simulated(central_system, RAPID, "live", speed=500):
            transaction_id = await start(central_system, "REMOTE", connector_id=None)
            await central_system.expect("StopTransaction", transaction_id=transaction_id, reason="Local")

    async def test_live_drivers_use_their_reservation(self, central_system):
        expiry = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        async with simulated(central_system, ONE_CONNECTOR, "live", speed=500, id_tags=["MINE"]):
            command = call.ReserveNow(1, expiry, "MINE", 7)
            assert (await central_system.command(command)).status == "Accepted"
            await central_system.expect("StartTransaction", id_tag="MINE", reservation_id=7)

    async def test_live_drivers_respect_the_reservation_of_another(self, central_system):
        expiry = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        async with simulated(central_system, ONE_CONNECTOR, "live", speed=500):
            assert (await central_system.command(call.ReserveNow(1, expiry, "OTHER", 7))).status == "Accepted"
            await central_system.expect("StatusNotification", status="Reserved")
            await central_system.expect("StatusNotification", status="Available")
            assert central_system.sent("StartTransaction") == []
            await central_system.expect("StartTransaction")

    async def test_fault_breaks_each_session(self, central_system):
        async with simulated(central_system, ONE_CONNECTOR, "fault", speed=500):
            for _ in range(2):
                await central_system.expect("StartTransaction")
                await central_system.expect("StopTransaction", reason="Other")
                await central_system.expect("StatusNotification", status="Faulted")
                await central_system.expect("StatusNotification", status="Available")

    async def test_offline_ends_each_session_on_a_second_connection(self, central_system):
        async with simulated(central_system, ONE_CONNECTOR, "offline", speed=200):
            await central_system.expect("StartTransaction")
            await central_system.expect("StopTransaction", reason="Local", transaction_id=central_system.transactions)
            assert len(central_system.sockets) == 2

    async def test_idle_does_nothing_of_its_own_accord(self, central_system):
        central_system.interval = 1
        async with simulated(central_system, ONE_CONNECTOR, speed=10_000):
            await central_system.expect("Heartbeat")
            await central_system.expect("Heartbeat")
        assert {action for action, _ in central_system.received} == {
            "BootNotification",
            "StatusNotification",
            "Heartbeat",
        }


class TestCancellation:
    @pytest.mark.parametrize("moment", ["dialling", "booting", "charging"])
    async def test_stops_cleanly_at_any_moment(self, central_system, moment):
        others = asyncio.all_tasks()
        charge_point = ChargePoint(central_system.url, "SIM-1", speed=1000)
        task = asyncio.create_task(fleet.run(charge_point, "live"))
        if moment == "booting":
            await central_system.expect("BootNotification")
        if moment == "charging":
            await central_system.expect("StartTransaction")
        task.cancel()
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        left = asyncio.all_tasks() - others
        assert [task for task in left if "/simulator/" in task.get_coro().cr_code.co_filename] == []

    async def test_the_failure_of_one_does_not_touch_the_others(self, central_system, caplog):
        broken, sound = (ChargePoint(central_system.url, name) for name in ("BROKEN", "SOUND"))
        task = asyncio.create_task(fleet.run_fleet([(broken, "no such scenario"), (sound, "idle")]))
        await central_system.expect("BootNotification")
        assert "BROKEN failed" in caplog.text
        assert not task.done()
        task.cancel()


@asynccontextmanager
async def reborn(central_system: CentralSystem, memory: dict[str, Any]) -> AsyncIterator[ChargePoint]:
    """A charge point of another process, which knows only what JSON told it."""
    charge_point = ChargePoint(central_system.url, "SIM-1", make=TWO_CONNECTORS)
    restore(charge_point, json.loads(json.dumps(memory)))
    task = asyncio.create_task(fleet.run(charge_point))
    yield charge_point
    task.cancel()


class TestMemory:
    async def test_a_session_that_was_running_ends_as_a_loss_of_power(self, central_system):
        async with simulated(central_system, TWO_CONNECTORS) as charge_point:
            transaction_id = await start(central_system)
            memory = recollect(charge_point)
            energy = charge_point.connectors[0].register_wh
        async with reborn(central_system, memory) as charge_point:
            stopped = await central_system.expect("StopTransaction", transaction_id=transaction_id)
            assert (stopped["reason"], stopped["meter_stop"]) == ("PowerLoss", energy)
            assert charge_point.connectors[0].register_wh == energy
            assert len(central_system.sent("StartTransaction")) == 1
            await eventually(lambda: charge_point.untold == [])

    async def test_a_session_whose_start_was_not_answered_is_told_from_its_start(self, central_system):
        offline = ChargePoint(central_system.url, "SIM-1", make=TWO_CONNECTORS)
        begun = offline.connectors[1].begin("TAG")
        async with reborn(central_system, recollect(offline)):
            assert await central_system.expect("StartTransaction") == asdict(begun.start, dict_factory=without_none)
            stopped = await central_system.expect("StopTransaction")
            assert (stopped["reason"], stopped["transaction_id"]) == ("PowerLoss", central_system.transactions)

    async def test_a_stop_that_was_not_answered_is_told_as_it_was(self, central_system):
        async with simulated(central_system, TWO_CONNECTORS) as charge_point:
            transaction_id = await start(central_system)
            charge_point.lose_connection(60)
            charge_point.connectors[0].end("Local", "TAG")
            memory = recollect(charge_point)
        async with reborn(central_system, memory):
            stopped = await central_system.expect("StopTransaction", transaction_id=transaction_id)
            assert (stopped["reason"], stopped["id_tag"]) == ("Local", "TAG")

    async def test_takes_up_what_an_older_release_remembered(self, central_system):
        charge_point = ChargePoint(central_system.url, "SIM-1", make=ONE_CONNECTOR)
        connector = {"energy": 123_456.0, "operative": False, "transaction_id": 7, "at": "2026-01-01T00:00:00Z"}
        restore(charge_point, {"firmware": "9.9", "operative": True, "connectors": [connector]})
        assert (charge_point.firmware, charge_point.connectors[0].register_wh) == ("9.9", 123_456)
        assert charge_point.connectors[0].status == "Unavailable"


def without_none(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in items if value is not None}


async def test_the_command_prints_one_line_per_event_and_ends_at_ctrl_c(central_system):
    command = [sys.executable, "manage.py", "simulate", "--url", central_system.url, "--identity", "FLEET"]
    process = await asyncio.create_subprocess_exec(
        *command, "--count", "2", "--scenario", "idle", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    await central_system.expect("BootNotification", charge_point_vendor="Tarvik")
    await central_system.expect("BootNotification", charge_point_vendor="Brightmoor")
    await central_system.expect("StatusNotification", connector_id=2)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE):
        output, errors = await process.communicate()
    lines = output.decode().splitlines()
    assert errors == b""
    assert process.returncode == 0
    assert {line.split()[0] for line in lines} == {"FLEET-1", "FLEET-2"}
    assert "FLEET-2 boot Accepted" in lines
