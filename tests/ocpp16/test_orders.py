"""Orders to simulated charge points through the API, over real sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chargepoints.models import ChargePoint as ChargePointRow
from chargepoints.models import Connector, Transaction
from ocpp16.models import Command
from ocpp16.orders import EXAMPLES, ORDERS
from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.terms import VENDOR_ID
from tests.api import error_of
from tests.conftest import eventually
from tests.ocpp16.test_simulator_on_dynamo import simulated  # noqa: F401  a fixture

PATH = "/api/v1/simulator"


@pytest.fixture
def order(api: Any, request: Any) -> Any:
    """`await order("plug_in", identity, connector_id=1)`."""

    async def send(name: str, identity: str, headers: Any = None, **body: Any) -> Any:
        return await api.post(f"{PATH}/{name}", json={"charge_point_id": identity, **body}, headers=headers)

    return send


@pytest.fixture
def identity(simulated: ChargePoint) -> str:  # noqa: F811
    ChargePointRow.objects.update(is_simulated=True)
    return simulated.identity


def connector(status: str, error_code: str = "NoError") -> bool:
    return Connector.objects.filter(connector_id=1, status=status, error_code=error_code).exists()


async def test_runs_a_session_from_plugging_in_to_unplugging(order: Any, identity: str) -> None:
    plugged = await order("plug_in", identity, connector_id=1, id_tag="TAG")
    assert plugged.status_code == 200, plugged.text
    told = plugged.json()
    assert told.pop("sent_at")
    assert told == {"charge_point_id": identity, "connector_id": 1, "id_tag": "TAG", "status": "Accepted"}
    transaction = await eventually(Transaction.objects.filter(state="active").first)
    await eventually(lambda: connector("Charging"))
    assert (await order("unplug", identity, connector_id=1)).status_code == 200
    stopped = await eventually(Transaction.objects.filter(pk=transaction.pk, state="stopped").first)
    assert (stopped.id_tag, stopped.stop_reason) == ("TAG", "EVDisconnected")
    await eventually(lambda: connector("Available"))


async def test_is_a_command_in_the_log(order: Any, identity: str, api: Any) -> None:
    response = await order("plug_in", identity, connector_id=1)
    command = (await api.get(f"/api/v1/commands/{response.headers['X-Command-Id']}")).json()
    assert (command["command"], command["state"], command["status"]) == ("DataTransfer", "accepted", "Accepted")
    payload = command["payload"]
    assert (payload["vendorId"], payload["messageId"]) == (VENDOR_ID, "PlugIn")
    assert json.loads(payload["data"]) == {"connectorId": 1}


async def test_faults_and_is_repaired(order: Any, identity: str) -> None:
    broken = await order("fault", identity, connector_id=1, error_code="OverVoltage")
    assert (broken.status_code, broken.json()["info"]) == (200, None)
    await eventually(lambda: connector("Faulted", "OverVoltage"))
    assert (await order("clear_fault", identity, connector_id=1)).status_code == 200
    await eventually(lambda: connector("Available"))


async def test_goes_offline_and_comes_back(order: Any, identity: str) -> None:
    assert (await order("go_offline", identity, seconds=1)).json()["seconds"] == 1
    await eventually(lambda: not ChargePointRow.objects.online().exists())
    refused = await order("plug_in", identity, connector_id=1)
    error_of(refused, 422, "charge_point_offline")
    await eventually(ChargePointRow.objects.online().exists)


async def test_tells_why_something_cannot_happen(order: Any, identity: str) -> None:
    error = error_of(await order("unplug", identity, connector_id=1), 422, "ocpp_rejected")
    assert error["message"] == "No vehicle is plugged in."
    assert error["details"]["status"] == "Rejected"


async def test_is_carried_out_once_for_an_idempotency_key(order: Any, identity: str) -> None:
    key = {"Idempotency-Key": "once"}
    answers = [await order("plug_in", identity, key, connector_id=1) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


async def test_orders_nothing_of_a_real_charge_point(order: Any, charge_point: Any) -> None:
    for name, body in EXAMPLES.items():
        error_of(await order(name, charge_point.identity, **body), 409, "not_simulated")
    assert not Command.objects.exists()


async def test_tells_of_a_charge_point_that_knows_no_orders(order: Any, charge_point: Any) -> None:
    ChargePointRow.objects.update(is_simulated=True)
    asking = asyncio.create_task(order("unplug", charge_point.identity, connector_id=1))
    await (await charge_point.expect("DataTransfer")).reply(status="UnknownVendorId")
    error = error_of(await asking, 422, "ocpp_rejected")
    assert "UnknownVendorId" in error["message"]


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("plug_in", {}, "connector_id"),
        ("plug_in", {"connector_id": 0}, "connector_id"),
        ("plug_in", {"connector_id": 1, "id_tag": "x" * 21}, "id_tag"),
        ("present_id_tag", {"connector_id": 1}, "id_tag"),
        ("fault", {"connector_id": 1}, "error_code"),
        ("fault", {"connector_id": 1, "error_code": "NoError"}, "error_code"),
        ("fault", {"connector_id": 1, "error_code": "OtherError", "info": "x" * 51}, "info"),
        ("go_offline", {"seconds": 0}, "seconds"),
        ("go_offline", {"seconds": 3601}, "seconds"),
        ("unplug", {"connector_id": 1, "nonsense": 1}, "nonsense"),
    ],
)
async def test_refuses_what_is_no_order(order: Any, make_charge_point: Any, name: str, body: Any, field: str) -> None:
    row = make_charge_point(is_simulated=True)
    error = error_of(await order(name, row.identity, **body), 400, "validation_error")
    assert list(error["details"]) == [field]


async def test_is_a_data_transfer_for_a_key_that_is_limited_to_commands(order: Any, api: Any, make_key: Any) -> None:
    api.headers["Authorization"] = f"Bearer {make_key(allowed_commands=['Reset'])}"
    for name, body in EXAMPLES.items():
        assert error_of(await order(name, "SIM", **body), 403, "forbidden")["details"]["command"] == "DataTransfer"
    assert set(EXAMPLES) == set(ORDERS)
