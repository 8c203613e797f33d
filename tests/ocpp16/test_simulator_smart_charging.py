"""Smart charging of a simulated charge point, from a central system that is not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from ocpp.v16 import call

from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.makes import MAKES
from tests.ocpp16.central_system import CentralSystem, profile, simulated, start

pytestmark = pytest.mark.without_services

ONE_CONNECTOR, TWO_CONNECTORS, SINGLE_PHASE, RAPID, HIGH_POWER = MAKES


@pytest.fixture
async def charge_point(central_system: CentralSystem) -> AsyncIterator[ChargePoint]:
    """Two connectors, idle."""
    async with simulated(central_system, TWO_CONNECTORS) as running:
        yield running


class TestSetChargingProfile:
    async def test_limits_the_power(self, central_system, charge_point):
        await central_system.command(call.ChangeConfiguration("MeterValueSampleInterval", "1"))
        await central_system.command(call.SetChargingProfile(1, profile(1_500)))
        await start(central_system)
        powers = [await self.power(central_system) for _ in range(3)]
        assert max(powers) == 1_500

    async def test_pauses_below_what_a_vehicle_can_use_and_resumes(self, central_system, charge_point):
        transaction_id = await start(central_system)
        paused = profile(0, charging_profile_purpose="TxProfile", transaction_id=transaction_id)
        assert (await central_system.command(call.SetChargingProfile(1, paused))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=1, status="SuspendedEVSE")
        assert (await central_system.command(call.ClearChargingProfile(1))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=1, status="Charging")

    @staticmethod
    async def power(central_system):
        sampled = (await central_system.expect("MeterValues", connector_id=1))["meter_value"][0]["sampled_value"]
        return next(float(value["value"]) for value in sampled if value["measurand"] == "Power.Active.Import")

    @pytest.mark.parametrize(
        ("connector_id", "fields"),
        [
            (1, {"charging_profile_purpose": "TxProfile"}),
            (1, {"charging_profile_purpose": "ChargePointMaxProfile"}),
            (9, {}),
            (1, {"stack_level": 99}),
        ],
    )
    async def test_is_rejected_against_the_rules(self, central_system, charge_point, connector_id, fields):
        command = call.SetChargingProfile(connector_id, profile(**fields))
        assert (await central_system.command(command)).status == "Rejected"

    async def test_forgets_a_transactions_profile_with_the_transaction(self, central_system, charge_point):
        transaction_id = await start(central_system)
        mine = profile(charging_profile_purpose="TxProfile")
        assert (await central_system.command(call.SetChargingProfile(1, mine))).status == "Accepted"
        await central_system.command(call.RemoteStopTransaction(transaction_id))
        assert (await central_system.command(call.ClearChargingProfile(1))).status == "Unknown"


async def test_clear_charging_profile_takes_what_its_filter_selects(central_system, charge_point):
    await central_system.command(call.SetChargingProfile(1, profile()))
    assert (await central_system.command(call.ClearChargingProfile(stack_level=5))).status == "Unknown"
    assert (await central_system.command(call.ClearChargingProfile(connector_id=1))).status == "Accepted"
    assert (await central_system.command(call.ClearChargingProfile())).status == "Unknown"


async def test_get_composite_schedule_combines_the_profiles(central_system, charge_point):
    day = profile(stack_level=1, charging_profile_id=2, charging_profile_kind="Absolute")
    day["charging_schedule"] = {
        "start_schedule": datetime.now(UTC).isoformat(),
        "duration": 600,
        "charging_rate_unit": "A",
        "charging_schedule_period": [{"start_period": 0, "limit": 10}, {"start_period": 300, "limit": 20}],
    }
    top = profile(8_000, charging_profile_id=3, charging_profile_purpose="ChargePointMaxProfile")
    for connector_id, content in ((1, profile(5_000)), (1, day), (0, top)):
        assert (await central_system.command(call.SetChargingProfile(connector_id, content))).status == "Accepted"
    answer = await central_system.command(call.GetCompositeSchedule(1, 3600, "W"))
    assert (answer.status, answer.connector_id) == ("Accepted", 1)
    limits = [period["limit"] for period in answer.charging_schedule["charging_schedule_period"]]
    # 10 A on three phases; 20 A would be 13800 W, but the whole charge point has 8000 W; then the lower level's 5000 W.
    assert limits == [6900, 8000, 5000]
    assert (await central_system.command(call.GetCompositeSchedule(9, 60))).status == "Rejected"


async def test_get_composite_schedule_of_an_idle_connector_is_that_of_a_start_now(central_system, charge_point):
    stepped = profile()
    stepped["charging_schedule"]["charging_schedule_period"].append({"start_period": 60, "limit": 9_000})
    await central_system.command(call.SetChargingProfile(0, stepped))
    schedule = (await central_system.command(call.GetCompositeSchedule(2, 120))).charging_schedule
    assert schedule["charging_schedule_period"] == [
        {"start_period": 0, "limit": 4_000},
        {"start_period": 60, "limit": 9_000},
    ]


async def test_a_daily_profile_begins_again_each_day(central_system, charge_point):
    begin = datetime.now(UTC) - timedelta(days=3, minutes=30)
    daily = profile(charging_profile_kind="Recurring", recurrency_kind="Daily")
    daily["charging_schedule"] = {
        "start_schedule": begin.isoformat(),
        "duration": 3600,
        "charging_rate_unit": "W",
        "charging_schedule_period": [{"start_period": 0, "limit": 4_000}],
    }
    await central_system.command(call.SetChargingProfile(1, daily))
    schedule = (await central_system.command(call.GetCompositeSchedule(1, 86_400))).charging_schedule
    periods = [(round(period["start_period"], -2), period["limit"]) for period in schedule["charging_schedule_period"]]
    assert periods == [(0, 4_000), (1_800, 22_000), (84_600, 4_000)]
