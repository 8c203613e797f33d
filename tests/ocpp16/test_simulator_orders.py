"""What is ordered of a simulated charge point by DataTransfer, from a central system that is not ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ocpp.v16 import call

from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.makes import MAKES
from ocpp16.simulator.terms import ERROR_CODES, VENDOR_ID
from tests.ocpp16.central_system import CentralSystem, simulated

pytestmark = pytest.mark.without_services


@pytest.fixture
async def charge_point(central_system: CentralSystem) -> AsyncIterator[ChargePoint]:
    """Two connectors, idle."""
    async with simulated(central_system, MAKES[1]) as running:
        yield running


async def order(central_system: CentralSystem, name: str, data: Any = None, **arguments: Any) -> Any:
    data = json.dumps(arguments) if data is None else data
    return await central_system.command(call.DataTransfer(VENDOR_ID, name, data))


async def obey(central_system: CentralSystem, name: str, **arguments: Any) -> None:
    answer = await order(central_system, name, **{"connectorId": 1, **arguments})
    assert (answer.status, answer.data) == ("Accepted", None)


async def charge(central_system: CentralSystem) -> int:
    """Plug in with a tag; returns the transaction that begins."""
    await obey(central_system, "PlugIn", idTag="TAG")
    await central_system.expect("StatusNotification", connector_id=1, status="Charging")
    return central_system.transactions


async def test_plugs_in_and_charges(central_system, charge_point):
    await obey(central_system, "PlugIn", idTag="TAG")
    await central_system.expect("StatusNotification", connector_id=1, status="Preparing")
    await central_system.expect("Authorize", id_tag="TAG")
    await central_system.expect("StartTransaction", connector_id=1, id_tag="TAG")
    await central_system.expect("StatusNotification", connector_id=1, status="Charging")
    await central_system.expect("MeterValues", transaction_id=central_system.transactions)


async def test_begins_nothing_for_a_blocked_tag_and_stays_plugged_in(central_system, charge_point):
    central_system.tags["BAD"] = {"status": "Blocked"}
    await obey(central_system, "PlugIn", idTag="BAD")
    await central_system.expect("Authorize", id_tag="BAD")
    await obey(central_system, "PresentIdTag", idTag="GOOD")
    await central_system.expect("StartTransaction", id_tag="GOOD")
    assert len(central_system.sent("StartTransaction")) == 1


async def test_a_remote_start_finds_the_vehicle_that_was_plugged_in(central_system, charge_point):
    await obey(central_system, "PlugIn")
    vehicle = charge_point.connectors[0].vehicle
    assert (await central_system.command(call.RemoteStartTransaction("APP", 1))).status == "Accepted"
    await central_system.expect("StartTransaction", id_tag="APP")
    assert charge_point.connectors[0].vehicle is vehicle


async def test_ends_a_session_by_its_tag_and_keeps_the_vehicle_until_it_is_unplugged(central_system, charge_point):
    transaction = await charge(central_system)
    await obey(central_system, "PresentIdTag", idTag="tag")
    stopped = await central_system.expect("StopTransaction", transaction_id=transaction, id_tag="tag")
    assert stopped["reason"] == "Local"
    await central_system.expect("StatusNotification", connector_id=1, status="Finishing")
    await charge_point.pause(10)  # any other would have left
    assert charge_point.connectors[0].status == "Finishing"
    await obey(central_system, "Unplug")
    await central_system.expect("StatusNotification", connector_id=1, status="Available")


async def test_ends_a_session_by_a_tag_of_its_group_and_by_no_other(central_system, charge_point):
    group = {"status": "Accepted", "parentIdTag": "GROUP"}
    central_system.tags |= {"TAG": group, "FAMILY": group}
    await charge(central_system)
    await obey(central_system, "PresentIdTag", idTag="STRANGER")
    await central_system.expect("Authorize", id_tag="STRANGER")
    await obey(central_system, "PresentIdTag", idTag="FAMILY")
    await central_system.expect("StopTransaction", id_tag="FAMILY")


async def test_unplugging_ends_the_session(central_system, charge_point):
    transaction = await charge(central_system)
    await obey(central_system, "Unplug")
    await central_system.expect("StopTransaction", transaction_id=transaction, reason="EVDisconnected")
    await central_system.expect("StatusNotification", connector_id=1, status="Available")


async def test_a_fault_ends_the_session_and_lasts_until_it_is_cleared(central_system, charge_point):
    transaction = await charge(central_system)
    await obey(central_system, "Fault", errorCode="GroundFailure", info="wet")
    await central_system.expect("StopTransaction", transaction_id=transaction, reason="Other")
    told = await central_system.expect("StatusNotification", connector_id=1, status="Faulted")
    assert (told["error_code"], told["info"]) == ("GroundFailure", "wet")
    assert (await order(central_system, "PlugIn", connectorId=1)).data == "The connector is Faulted."
    await obey(central_system, "ClearFault")
    told = await central_system.expect("StatusNotification", connector_id=1, status="Available")
    assert told["error_code"] == "NoError"


async def test_goes_offline_and_tells_afterwards_what_happened(central_system, charge_point):
    await obey(central_system, "PlugIn")
    await obey(central_system, "GoOffline", seconds=1)
    connection = central_system.sockets[0]
    await connection.wait_closed()
    charge_point.configuration["AllowOfflineTxForUnknownId"] = "true"
    assert await charge_point.authorize("TAG")
    charge_point.connectors[0].begin("TAG")
    await central_system.expect("StartTransaction", id_tag="TAG")
    assert len(central_system.sockets) == 2


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("PlugIn", "[]", "The data must be a JSON object."),
        ("PlugIn", "{", "The data must be a JSON object."),
        ("PlugIn", "{}", "connectorId is missing or of another type."),
        ("PlugIn", '{"connectorId": "1"}', "connectorId is missing or of another type."),
        ("PlugIn", '{"connectorId": 1, "idTag": 5}', "idTag is missing or of another type."),
        ("PlugIn", '{"connectorId": 3}', "It has the connectors 1 to 2."),
        ("Unplug", '{"connectorId": 1}', "No vehicle is plugged in."),
        ("PresentIdTag", '{"connectorId": 1, "idTag": "TAG"}', "No vehicle is plugged in."),
        ("ClearFault", '{"connectorId": 1}', "The connector has no fault."),
        ("GoOffline", "{}", "seconds is missing or of another type."),
        ("GoOffline", '{"seconds": 0}', "seconds must be from 1 to 3600."),
        ("GoOffline", f'{{"seconds": {10**400}}}', "seconds must be from 1 to 3600."),
        ("Fault", '{"connectorId": 1, "errorCode": "Tired"}', f"errorCode must be one of: {', '.join(ERROR_CODES)}."),
    ],
)
async def test_refuses_what_cannot_happen(central_system, charge_point, name, data, why):
    answer = await order(central_system, name, data)
    assert (answer.status, answer.data) == ("Rejected", why)


async def test_refuses_a_second_vehicle(central_system, charge_point):
    await obey(central_system, "PlugIn")
    answer = await order(central_system, "PlugIn", connectorId=1)
    assert (answer.status, answer.data) == ("Rejected", "A vehicle is plugged in already.")
    await obey(central_system, "PlugIn", connectorId=2)


async def test_knows_no_other_orders(central_system, charge_point):
    assert (await order(central_system, "Explode")).status == "UnknownMessageId"
