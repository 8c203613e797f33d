"""What charge points answer besides yes and no, and who may ask how often."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ocpp16.commands import COMMANDS
from ocpp16.models import Command
from tests.api import error_of
from tests.conftest import eventually
from tests.ocpp16.reference import EXAMPLES, IDENTITY

PATH = "/api/v1/ocpp16"


@pytest.fixture
async def online(connect: Any, make_charge_point: Any) -> Any:
    return await connect(make_charge_point(IDENTITY))


def post(api: Any, name: str, **changes: Any) -> asyncio.Task[Any]:
    body = {field: value for field, value in (EXAMPLES[name].body | changes).items() if value is not ...}
    return asyncio.create_task(api.post(f"{PATH}/{name}", json=body))


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "send_command"])
async def test_tells_of_a_rejection(api: Any, online: Any, name: str) -> None:
    response = post(api, name)
    await (await online.expect(EXAMPLES[name].action)).reply(status="Rejected")
    error = error_of(await response, 422, "ocpp_rejected")
    assert error["details"] == {"status": "Rejected", "response": {"status": "Rejected"}}
    assert Command.objects.get().state == "rejected"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("change_availability", "Scheduled"),
        ("reserve_now", "Occupied"),
        ("reserve_now", "Faulted"),
        ("reserve_now", "Unavailable"),
        ("clear_charging_profile", "Unknown"),
        ("set_charging_profile", "NotSupported"),
        ("trigger_message", "NotImplemented"),
    ],
)
async def test_passes_on_every_status_but_rejected(api: Any, online: Any, name: str, status: str) -> None:
    response = post(api, name)
    await (await online.expect(EXAMPLES[name].action)).reply(status=status)
    answer = await response
    assert answer.status_code == 200
    assert answer.json()["status"] == status


async def test_answers_null_for_what_the_caller_left_out(api: Any, online: Any) -> None:
    response = post(api, "remote_start_transaction", connector_id=...)
    call = await online.expect("RemoteStartTransaction")
    assert call.payload == {"idTag": "RFID-USER-4A2F"}
    await call.reply(status="Accepted")
    body = (await response).json()
    assert list(body) == ["charge_point_id", "connector_id", "id_tag", "status", "sent_at"]
    assert body["connector_id"] is None


async def test_writes_times_in_utc_whatever_the_offset(api: Any, online: Any) -> None:
    response = post(api, "reserve_now", expiry_date="2999-03-10T19:00:00.750+02:00")
    call = await online.expect("ReserveNow")
    assert call.payload["expiryDate"] == "2999-03-10T17:00:00Z"
    await call.reply(status="Accepted")
    assert (await response).json()["expires_at"] == "2999-03-10T17:00:00Z"


async def test_sends_a_charging_profile_with_a_remote_start(api: Any, online: Any) -> None:
    profile = {
        "chargingProfileId": 7,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "validTo": "2999-01-01T00:00:00+01:00",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.1, "numberPhases": 3}],
        },
    }
    response = post(api, "remote_start_transaction", charging_profile=profile)
    call = await online.expect("RemoteStartTransaction")
    assert call.payload["chargingProfile"] == {**profile, "validTo": "2998-12-31T23:00:00Z"}
    await call.reply(status="Accepted")
    assert (await response).status_code == 200


@pytest.mark.parametrize("code", ["NotImplemented", "NotSupported"])
async def test_passes_on_that_a_raw_command_is_not_implemented(api: Any, online: Any, code: str) -> None:
    response = post(api, "send_command")
    await (await online.expect("GetConfiguration")).fail(code, "no such thing")
    answer = await response
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "NotImplemented"
    assert body["response"] == {"error_code": code, "error_description": "no such thing", "error_details": {}}
    assert type(body["response_time_ms"]) is int


async def test_does_not_pass_that_off_as_a_success_elsewhere(api: Any, online: Any) -> None:
    response = post(api, "reset")
    await (await online.expect("Reset")).fail("NotImplemented")
    error_of(await response, 422, "ocpp_rejected")


async def test_passes_on_a_rejection_of_a_raw_command(api: Any, online: Any) -> None:
    response = post(api, "send_command", command="ChangeConfiguration", payload={"key": "a", "value": "b"})
    await (await online.expect("ChangeConfiguration")).reply(status="Rejected")
    answer = await response
    assert answer.status_code == 200
    assert answer.json()["status"] == "Rejected"
    assert answer.json()["response"] == {"status": "Rejected"}
    assert answer.json()["command"] == "ChangeConfiguration"


async def test_passes_on_what_only_json_escapes_can_tell(api: Any, online: Any) -> None:
    response = post(api, "send_command", command="DataTransfer", payload={"vendorId": "ü"})
    call = await online.expect("DataTransfer")
    assert call.payload == {"vendorId": "ü"}
    await call.reply(status="Accepted", data="schön \u2713")
    assert (await response).json()["response"]["data"] == "schön \u2713"


@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
@pytest.mark.parametrize("name", ["remote_start_transaction", "remote_stop_transaction"])
async def test_does_not_start_or_stop_before_registration(
    api: Any, connect: Any, make_charge_point: Any, registration: str, name: str
) -> None:
    client = await connect(make_charge_point(IDENTITY, registration_status=registration))
    error = error_of(await post(api, name), 422, "charge_point_offline")
    assert registration in error["message"]
    assert client.calls.empty()


async def test_limits_commands_to_ten_a_second_over_all_keys(api: Any, online: Any, make_key: Any) -> None:
    second = {"Authorization": f"Bearer {make_key()}"}
    body = EXAMPLES["reset"].body
    requests = [
        asyncio.create_task(api.post(f"{PATH}/reset", json=body, headers=second if number % 2 else None))
        for number in range(14)
    ]
    for _ in range(10):
        await (await online.expect("Reset")).reply(status="Accepted")
    responses = await asyncio.gather(*requests)
    limited = [response for response in responses if response.status_code == 429]
    assert [response.status_code for response in responses].count(200) == 10
    assert len(limited) == 4
    for response in limited:
        error_of(response, 429, "rate_limited")
        assert int(response.headers["Retry-After"]) >= 1
        assert Command.objects.get(pk=response.headers["X-Command-Id"]).state == "rate_limited"
    assert online.calls.empty(), "what is limited is not sent"


async def test_limits_each_charge_point_by_itself(api: Any, online: Any, connect: Any) -> None:
    other = await connect()
    for client in (online, other):
        sent = [post(api, "reset", charge_point_id=client.identity) for _ in range(6)]
        for _ in range(6):
            await (await client.expect("Reset")).reply(status="Accepted")
        assert [(await response).status_code for response in sent] == [200] * 6


async def test_sends_to_the_newest_socket_only(api: Any, online: Any, connect: Any) -> None:
    from chargepoints.models import ChargePoint

    newer = await connect(ChargePoint.objects.get(identity=IDENTITY))
    await eventually(lambda: online.socket.close_code)
    response = post(api, "reset")
    await (await newer.expect("Reset")).reply(status="Accepted")
    assert (await response).status_code == 200
    assert online.calls.empty()
