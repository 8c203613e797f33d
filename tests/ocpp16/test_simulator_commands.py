"""Each command of OCPP 1.6 against a simulated charge point, from a central system that is not ours."""

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


def in_minutes(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()


class TestRemoteStartTransaction:
    async def test_authorizes_plugs_in_and_charges(self, central_system, charge_point):
        assert (await central_system.command(call.RemoteStartTransaction("TAG", 2))).status == "Accepted"
        await central_system.expect("Authorize", id_tag="TAG")
        await central_system.expect("StatusNotification", connector_id=2, status="Preparing")
        started = await central_system.expect("StartTransaction", connector_id=2, id_tag="TAG")
        assert isinstance(started["meter_start"], int)
        await central_system.expect("StatusNotification", connector_id=2, status="Charging")
        await central_system.expect("MeterValues", connector_id=2, transaction_id=central_system.transactions)

    async def test_takes_a_free_connector_if_none_is_named(self, central_system, charge_point):
        await start(central_system, "A", 1)
        assert (await central_system.command(call.RemoteStartTransaction("B"))).status == "Accepted"
        await central_system.expect("StartTransaction", connector_id=2, id_tag="B")

    @pytest.mark.parametrize("connector_id", [1, 3])
    async def test_is_rejected_where_no_session_can_begin(self, central_system, charge_point, connector_id):
        await start(central_system)
        assert (await central_system.command(call.RemoteStartTransaction("B", connector_id))).status == "Rejected"

    async def test_begins_nothing_for_a_blocked_tag(self, central_system, charge_point):
        central_system.tags["BAD"] = {"status": "Blocked"}
        assert (await central_system.command(call.RemoteStartTransaction("BAD", 1))).status == "Accepted"
        await central_system.expect("Authorize", id_tag="BAD")
        await start(central_system, "GOOD", 2)
        assert charge_point.connectors[0].is_free
        assert [started["id_tag"] for started in central_system.sent("StartTransaction")] == ["GOOD"]

    async def test_limits_the_session_by_its_profile(self, central_system, charge_point):
        limited = profile(1_500, charging_profile_purpose="TxProfile")
        await start(central_system, charging_profile=limited)
        schedule = (await central_system.command(call.GetCompositeSchedule(1, 60))).charging_schedule
        assert schedule["charging_schedule_period"] == [{"start_period": 0, "limit": 1500}]

    async def test_is_rejected_with_a_profile_of_another_purpose(self, central_system, charge_point):
        command = call.RemoteStartTransaction("TAG", 1, profile())
        assert (await central_system.command(command)).status == "Rejected"


class TestRemoteStopTransaction:
    async def test_ends_the_session_and_the_driver_leaves(self, central_system, charge_point):
        transaction_id = await start(central_system)
        assert (await central_system.command(call.RemoteStopTransaction(transaction_id))).status == "Accepted"
        stopped = await central_system.expect("StopTransaction", transaction_id=transaction_id, reason="Remote")
        contexts = [value["sampled_value"][0]["context"] for value in stopped["transaction_data"]]
        assert contexts == ["Transaction.Begin", "Transaction.End"]
        await central_system.expect("StatusNotification", status="Finishing")
        await central_system.expect("StatusNotification", connector_id=1, status="Available")

    async def test_is_rejected_for_an_unknown_transaction(self, central_system, charge_point):
        assert (await central_system.command(call.RemoteStopTransaction(4711))).status == "Rejected"


class TestReset:
    @pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
    async def test_ends_the_sessions_and_boots_again(self, central_system, charge_point, kind, reason):
        transaction_id = await start(central_system)
        assert (await central_system.command(call.Reset(kind))).status == "Accepted"
        if kind == "Soft":
            await central_system.expect("StopTransaction", transaction_id=transaction_id, reason=reason)
        await central_system.expect("BootNotification")
        if kind == "Hard":
            await central_system.expect("StopTransaction", transaction_id=transaction_id, reason=reason)
        await central_system.expect("StatusNotification", connector_id=1, status="Available")
        assert len(central_system.sockets) == 2

    async def test_lets_a_make_count_its_messages_from_one_again(self, central_system):
        async with simulated(central_system, ONE_CONNECTOR) as charge_point:
            before = int(charge_point.next_message_id())
            await central_system.command(call.Reset("Hard"))
            await central_system.expect("BootNotification")
            assert before >= 3
            assert int(charge_point.next_message_id()) < before


class TestChangeAvailability:
    async def test_shows_on_the_connector(self, central_system, charge_point):
        assert (await central_system.command(call.ChangeAvailability(2, "Inoperative"))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=2, status="Unavailable")
        assert (await central_system.command(call.RemoteStartTransaction("TAG", 2))).status == "Rejected"
        assert (await central_system.command(call.ChangeAvailability(2, "Operative"))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=2, status="Available")

    async def test_of_connector_zero_concerns_all(self, central_system, charge_point):
        assert (await central_system.command(call.ChangeAvailability(0, "Inoperative"))).status == "Accepted"
        for connector_id in (0, 1, 2):
            await central_system.expect("StatusNotification", connector_id=connector_id, status="Unavailable")

    async def test_waits_for_the_end_of_a_session(self, central_system, charge_point):
        transaction_id = await start(central_system)
        assert (await central_system.command(call.ChangeAvailability(1, "Inoperative"))).status == "Scheduled"
        await central_system.command(call.RemoteStopTransaction(transaction_id))
        await central_system.expect("StopTransaction")
        await central_system.expect("StatusNotification", connector_id=1, status="Unavailable")

    async def test_survives_a_reset(self, central_system, charge_point):
        await central_system.command(call.ChangeAvailability(1, "Inoperative"))
        await central_system.command(call.Reset("Hard"))
        await central_system.expect("BootNotification")
        await central_system.expect("StatusNotification", connector_id=1, status="Unavailable")

    async def test_is_rejected_for_an_unknown_connector(self, central_system, charge_point):
        assert (await central_system.command(call.ChangeAvailability(9, "Operative"))).status == "Rejected"


class TestUnlockConnector:
    async def test_ends_the_session(self, central_system, charge_point):
        await start(central_system)
        assert (await central_system.command(call.UnlockConnector(1))).status == "Unlocked"
        await central_system.expect("StopTransaction", reason="UnlockCommand")

    async def test_is_not_supported_where_the_cable_is_attached(self, central_system):
        async with simulated(central_system, RAPID):
            assert (await central_system.command(call.UnlockConnector(1))).status == "NotSupported"


class TestTriggerMessage:
    @pytest.mark.parametrize(
        "message",
        [
            "BootNotification",
            "DiagnosticsStatusNotification",
            "FirmwareStatusNotification",
            "Heartbeat",
            "MeterValues",
            "StatusNotification",
        ],
    )
    async def test_sends_what_is_asked_for(self, central_system, charge_point, message):
        assert (await central_system.command(call.TriggerMessage(message, 2))).status == "Accepted"
        sent = await central_system.expect(message)
        if message in ("MeterValues", "StatusNotification"):
            assert sent["connector_id"] == 2

    async def test_is_not_implemented_for_what_it_does_not_know(self, central_system, charge_point):
        command = call.TriggerMessage("SignChargePointCertificate")
        assert (await central_system.command(command, skip_schema_validation=True)).status == "NotImplemented"

    async def test_is_rejected_for_an_unknown_connector(self, central_system, charge_point):
        assert (await central_system.command(call.TriggerMessage("MeterValues", 9))).status == "Rejected"


class TestReserveNow:
    async def test_holds_the_connector_for_its_tag(self, central_system, charge_point):
        assert (await central_system.command(call.ReserveNow(1, in_minutes(5), "MINE", 7))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=1, status="Reserved")
        assert (await central_system.command(call.RemoteStartTransaction("OTHER", 1))).status == "Rejected"
        assert (await central_system.command(call.RemoteStartTransaction("mine", 1))).status == "Accepted"
        await central_system.expect("StartTransaction", reservation_id=7)

    async def test_admits_a_tag_of_the_same_group(self, central_system, charge_point):
        central_system.tags["FRIEND"] = {"status": "Accepted", "parentIdTag": "GROUP"}
        await start(central_system, "FRIEND", 2)
        command = call.ReserveNow(1, in_minutes(5), "MINE", 7, "GROUP")
        assert (await central_system.command(command)).status == "Accepted"
        assert (await central_system.command(call.RemoteStartTransaction("FRIEND", 1))).status == "Accepted"
        await central_system.expect("StartTransaction", connector_id=1, reservation_id=7)

    async def test_is_given_back_when_it_expires(self, central_system, charge_point):
        assert (await central_system.command(call.ReserveNow(1, in_minutes(0.02), "MINE", 7))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=1, status="Reserved")
        await central_system.expect("StatusNotification", connector_id=1, status="Available")

    async def test_says_what_is_in_its_way(self, central_system, charge_point):
        await start(central_system, connector_id=1)
        assert (await central_system.command(call.ReserveNow(1, in_minutes(5), "MINE", 7))).status == "Occupied"
        charge_point.connectors[1].break_down("GroundFailure", "")
        assert (await central_system.command(call.ReserveNow(2, in_minutes(5), "MINE", 7))).status == "Faulted"
        charge_point.connectors[1].repair()
        await central_system.command(call.ChangeAvailability(2, "Inoperative"))
        assert (await central_system.command(call.ReserveNow(2, in_minutes(5), "MINE", 7))).status == "Unavailable"

    @pytest.mark.parametrize(("connector_id", "minutes"), [(0, 5), (3, 5), (1, -5)])
    async def test_is_rejected_where_it_can_mean_nothing(self, central_system, charge_point, connector_id, minutes):
        command = call.ReserveNow(connector_id, in_minutes(minutes), "MINE", 7)
        assert (await central_system.command(command)).status == "Rejected"


class TestCancelReservation:
    async def test_frees_the_connector(self, central_system, charge_point):
        await central_system.command(call.ReserveNow(1, in_minutes(5), "MINE", 7))
        assert (await central_system.command(call.CancelReservation(7))).status == "Accepted"
        await central_system.expect("StatusNotification", connector_id=1, status="Reserved")
        await central_system.expect("StatusNotification", connector_id=1, status="Available")
        assert (await central_system.command(call.CancelReservation(7))).status == "Rejected"


class TestRemoteStartThatIsOvertaken:
    async def test_leaves_a_connector_that_was_taken_out_of_service(self, central_system):
        async with simulated(central_system, TWO_CONNECTORS, speed=2):
            await central_system.command(call.RemoteStartTransaction("TAG", 1))
            await central_system.expect("StatusNotification", connector_id=1, status="Preparing")
            assert (await central_system.command(call.ChangeAvailability(1, "Inoperative"))).status == "Accepted"
            await central_system.expect("StatusNotification", connector_id=1, status="Unavailable")
            await central_system.command(call.ChangeAvailability(1, "Operative"))
            await central_system.expect("StatusNotification", connector_id=1, status="Available")
            await start(central_system, "NEXT", 1)
        assert [started["id_tag"] for started in central_system.sent("StartTransaction")] == ["NEXT"]

    async def test_does_not_begin_after_a_fault(self, central_system):
        async with simulated(central_system, speed=2) as charge_point:
            (connector,) = charge_point.connectors
            await central_system.command(call.RemoteStartTransaction("TAG", 1))
            await central_system.expect("StatusNotification", connector_id=1, status="Preparing")
            connector.break_down("GroundFailure", "")
            await central_system.expect("StatusNotification", connector_id=1, status="Faulted")
            connector.repair()
            await central_system.expect("StatusNotification", connector_id=1, status="Available")
            await start(central_system, "NEXT", 1)
        assert [started["id_tag"] for started in central_system.sent("StartTransaction")] == ["NEXT"]
