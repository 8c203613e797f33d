"""Every command of the API, over the real server, to a charge point on a real socket."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from ocpp16.commands import COMMANDS
from ocpp16.models import Command
from tests.api import error_of
from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.ocpp16.reference import EXAMPLES, IDENTITY, RESPONSE_TIME, SENT_AT

PATH = "/api/v1/ocpp16"
SECOND = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

each = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture
async def online(connect: Any, make_charge_point: Any) -> Any:
    return await connect(make_charge_point(IDENTITY))


def post(api: Any, name: str, **changes: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(api.post(f"{PATH}/{name}", json=EXAMPLES[name].body | changes))


def row_of(response: Any) -> Command:
    return Command.objects.get(pk=response.headers["X-Command-Id"])


@each
async def test_sends_the_reference_example_and_answers_as_the_reference_says(
    api: Any, online: Any, make_key: Any, name: str
) -> None:
    example = EXAMPLES[name]
    response = post(api, name)
    call = await online.expect(example.action)
    assert call.payload == example.payload
    await call.reply(example.call_result)
    answer = await response
    assert answer.status_code == 200
    assert answer.headers["X-Command-Id"] == call.message_id
    body = answer.json()
    assert list(body) == [member for member, _ in example.answer]
    for member, value in example.answer:
        if value is SENT_AT:
            assert SECOND.fullmatch(body[member])
        elif value is RESPONSE_TIME:
            assert type(body[member]) is int
            assert 0 <= body[member] < 5000
        else:
            assert body[member] == value, member
    assert row_of(answer).state == "accepted"


@each
async def test_tells_of_a_call_error(api: Any, online: Any, name: str) -> None:
    response = post(api, name)
    await (await online.expect(EXAMPLES[name].action)).fail("InternalError", "out of order", {"relay": 3})
    error = error_of(await response, 422, "ocpp_rejected")
    assert error["details"] == {
        "error_code": "InternalError",
        "error_description": "out of order",
        "error_details": {"relay": 3},
    }
    assert row_of(await response).state == "call_error"


@each
async def test_tells_of_an_answer_that_cannot_be_read(api: Any, online: Any, name: str) -> None:
    response = post(api, name)
    junk = {"status": 7, "configurationKey": "none"}
    await (await online.expect(EXAMPLES[name].action)).reply(junk)
    error = error_of(await response, 422, "ocpp_rejected")
    assert error["details"] == {"status": "", "response": junk}


@each
async def test_is_offline_without_a_socket(api: Any, make_charge_point: Any, name: str) -> None:
    make_charge_point(IDENTITY)
    response = await post(api, name)
    error_of(response, 422, "charge_point_offline")
    assert row_of(response).state == "lost"


@each
async def test_is_offline_at_once_when_the_socket_closes_before_the_answer(api: Any, online: Any, name: str) -> None:
    response = post(api, name)
    await online.expect(EXAMPLES[name].action)
    await online.close()
    error_of(await response, 422, "charge_point_offline")  # not 408, as for one that has waited
    assert row_of(await response).state == "lost"


async def test_time_out_and_complete_their_rows_when_the_answers_come_late(
    api: Any, connect: Any, make_charge_point: Any
) -> None:
    clients = {name: await connect(make_charge_point(f"{IDENTITY}-{name}")) for name in COMMANDS}
    await asyncio.gather(*(answers_late(api, client, name) for name, client in clients.items()))


async def answers_late(api: Any, client: ChargePointClient, name: str) -> None:
    example = EXAMPLES[name]
    response = post(api, name, charge_point_id=client.identity)
    call = await client.expect(example.action)
    error_of(await response, 408, "timeout")
    assert row_of(await response).state == "timed_out", name
    await call.reply(example.call_result)
    row = await eventually(lambda: Command.objects.filter(pk=call.message_id, is_late=True).first())
    assert (row.state, row.response) == ("accepted", example.call_result)
