"""Sessions and meters of a simulated charge point against a central system that is not ours."""

from __future__ import annotations

from typing import Any

import pytest
from ocpp.v16 import call

from ocpp16.simulator.makes import MAKES, parse_time
from tests.ocpp16.central_system import CentralSystem, simulated, start

pytestmark = pytest.mark.without_services

ONE_CONNECTOR, TWO_CONNECTORS, SINGLE_PHASE, RAPID, HIGH_POWER = MAKES
ENERGY = "Energy.Active.Import.Register"


def samples(payload: dict[str, Any], measurand: str) -> list[dict[str, str]]:
    values = payload["meter_value"][0]["sampled_value"]
    return [value for value in values if value.get("measurand", ENERGY) == measurand]


def energy_wh(payload: dict[str, Any]) -> float:
    (sample,) = samples(payload, ENERGY)
    return float(sample["value"]) * (1000 if sample.get("unit") == "kWh" else 1)


class TestSession:
    async def test_ends_when_the_start_is_refused(self, central_system):
        async with simulated(central_system) as charge_point:
            charge_point.configuration["AuthorizeRemoteTxRequests"] = "false"
            central_system.tags["TAG"] = {"status": "ConcurrentTx"}
            transaction_id = await start(central_system)
            await central_system.expect("StopTransaction", transaction_id=transaction_id, reason="DeAuthorized")

    @pytest.mark.parametrize("make", MAKES, ids=lambda make: make.vendor)
    async def test_meters_never_run_backwards_over_sessions(self, central_system, make):
        async with simulated(central_system, make) as charge_point:
            charge_point.configuration["MeterValueSampleInterval"] = "1"
            for _ in range(2):
                transaction_id = await start(central_system)
                for _ in range(2):
                    await central_system.expect("MeterValues", transaction_id=transaction_id)
                await central_system.command(call.RemoteStopTransaction(transaction_id))
                await central_system.expect("StopTransaction")
                await central_system.expect("StatusNotification", connector_id=1, status="Available")
        readings = []
        for action, payload in central_system.received:
            if action == "MeterValues":
                readings.append(energy_wh(payload))
            elif action in ("StartTransaction", "StopTransaction"):
                readings.append(payload["meter_start" if action == "StartTransaction" else "meter_stop"])
        assert readings == sorted(readings, key=int)
        assert readings[-1] > readings[0]

    async def test_energy_is_power_times_time(self, central_system):
        async with simulated(central_system, HIGH_POWER) as charge_point:
            charge_point.configuration["MeterValueSampleInterval"] = "1"
            transaction_id = await start(central_system)
            sent = [await central_system.expect("MeterValues", transaction_id=transaction_id) for _ in range(4)]
        powers = [float(samples(payload, "Power.Active.Import")[0]["value"]) for payload in sent]
        times = [parse_time(payload["meter_value"][0]["timestamp"]) for payload in sent]
        seconds = (times[-1] - times[1]).total_seconds()
        gained = energy_wh(sent[-1]) - energy_wh(sent[1])
        assert 0 < gained <= max(powers) * seconds / 3600 + 1
        assert powers[1] < powers[-1] <= HIGH_POWER.power

    async def test_suspends_when_the_battery_is_full(self, central_system):
        async with simulated(central_system, HIGH_POWER) as charge_point:
            await start(central_system)
            charge_point.connectors[0].vehicle.state_of_charge = 100.0
            await central_system.expect("StatusNotification", connector_id=1, status="SuspendedEV")

    async def test_a_fault_ends_it_and_clears(self, central_system):
        async with simulated(central_system) as charge_point:
            await start(central_system)
            charge_point.connectors[0].break_down("GroundFailure", "Ground fault detected")
            await central_system.expect("StopTransaction", reason="Other")
            await central_system.expect(
                "StatusNotification", status="Faulted", error_code="GroundFailure", info="Ground fault detected"
            )
            charge_point.connectors[0].repair()
            await central_system.expect("StatusNotification", status="Available", error_code="NoError")

    async def test_the_answer_to_a_command_leaves_before_what_it_causes(self, central_system):
        async with simulated(central_system):
            await central_system.command(call.TriggerMessage("FirmwareStatusNotification"))
            await central_system.expect("FirmwareStatusNotification")
        answered, caused = (
            next(index for index, frame in enumerate(central_system.frames) if sign in frame)
            for sign in ("[3,", "FirmwareStatusNotification")
        )
        assert answered < caused


class TestMakes:
    async def sampled(self, central_system: CentralSystem, make: Any) -> dict[str, Any]:
        """A periodic MeterValues of this make."""
        async with simulated(central_system, make) as charge_point:
            charge_point.configuration["MeterValueSampleInterval"] = "1"
            transaction_id = await start(central_system)
            await central_system.expect("MeterValues", transaction_id=transaction_id)
            return await central_system.expect("MeterValues", transaction_id=transaction_id)

    async def test_three_phases_have_a_current_and_a_voltage_each(self, central_system):
        sent = await self.sampled(central_system, TWO_CONNECTORS)
        assert len(samples(sent, "Voltage")) == 3
        assert [value["phase"] for value in samples(sent, "Current.Import")] in (["L1"], ["L1", "L2", "L3"])
        assert "." in sent["meter_value"][0]["timestamp"]

    async def test_one_sends_kilowatt_hours(self, central_system):
        (sample,) = samples(await self.sampled(central_system, SINGLE_PHASE), ENERGY)
        assert sample["unit"] == "kWh"
        assert sample["context"] == "Sample.Periodic"

    async def test_direct_current_knows_the_battery(self, central_system):
        (sample,) = samples(await self.sampled(central_system, RAPID), "SoC")
        assert sample["unit"] == "Percent"
        assert 15 <= int(sample["value"]) <= 100

    async def test_one_leaves_out_what_is_the_default(self, central_system):
        (sample,) = samples(await self.sampled(central_system, HIGH_POWER), ENERGY)
        assert set(sample) == {"value"}

    async def test_one_sends_no_transaction_data(self, central_system):
        async with simulated(central_system, RAPID):
            transaction_id = await start(central_system)
            await central_system.command(call.RemoteStopTransaction(transaction_id))
            assert "transaction_data" not in await central_system.expect("StopTransaction")
