"""Every end that a command can have, told at once and kept in its row."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargepoints.models import ChargePoint
from ocpp16.models import Command
from tests.conftest import eventually
from tests.servers import COMMAND_TIMEOUT

AT_ONCE = COMMAND_TIMEOUT / 2


async def test_tells_at_once_that_a_charge_point_is_offline(post: Any, make_charge_point: Any) -> None:
    ended = await post("reset", make_charge_point(), type="Soft")
    assert (ended.status, ended.code) == (422, "charge_point_offline")
    assert ended.seconds < AT_ONCE
    command = Command.objects.get(pk=ended.command_id)
    assert (command.state, command.sent_at, command.api_key is not None) == ("lost", None, True)


async def test_tells_at_once_that_the_lease_of_a_socket_has_run_out(post: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    row.connect("ocpp16.of-a-worker-that-was-killed", "127.0.0.1")
    ChargePoint.objects.filter(pk=row.pk).update(online_until=datetime.now(UTC) - timedelta(seconds=1))
    ended = await post("reset", row, type="Soft")
    assert (ended.status, ended.code) == (422, "charge_point_offline")
    assert ended.seconds < AT_ONCE


async def test_tells_within_seconds_that_a_socket_does_not_react(post: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    row.connect("ocpp16.of-a-worker-that-was-killed", "127.0.0.1")
    ended = await post("reset", row, type="Soft")
    assert (ended.status, ended.code) == (422, "charge_point_offline")
    assert Command.objects.get(pk=ended.command_id).state == "lost"


async def test_tells_at_once_that_the_socket_closed_before_the_answer(post: Any, charge_point: Any) -> None:
    request = post("reset", type="Hard")
    await charge_point.expect("Reset")
    await charge_point.close()
    ended = await request
    assert (ended.status, ended.code) == (422, "charge_point_offline")  # 408 tells that the timeout had passed
    command = Command.objects.get(pk=ended.command_id)
    assert command.state == "lost"
    assert command.sent_at is not None


async def test_tells_at_once_that_the_socket_was_cut(post: Any, charge_point: Any) -> None:
    request = post("reset", type="Hard")
    await charge_point.expect("Reset")
    charge_point.socket.transport.abort()
    ended = await request
    assert (ended.status, ended.code) == (422, "charge_point_offline")


@pytest.mark.parametrize("attempt", range(5))
async def test_keeps_an_answer_that_came_just_before_the_close(post: Any, charge_point: Any, attempt: int) -> None:
    request = post("reset", type="Hard")
    call = await charge_point.expect("Reset")
    await call.reply(status="Accepted")
    charge_point.socket.transport.close()
    ended = await request
    assert (ended.status, ended.body.get("status")) == (200, "Accepted")
    command = Command.objects.get(pk=ended.command_id)
    assert command.state == "accepted"
    assert command.response_time_ms is not None


async def test_ends_the_commands_that_wait_behind_when_the_socket_closes(post: Any, charge_point: Any) -> None:
    requests = [post("reset", type="Soft") for _ in range(4)]
    await charge_point.expect("Reset")
    await eventually(lambda: Command.objects.count() == 4)
    await charge_point.close()
    for ended in await asyncio.gather(*requests):
        assert (ended.status, ended.code) == (422, "charge_point_offline")
    assert {command.state for command in Command.objects.all()} == {"lost"}


async def test_times_out_and_lets_the_late_answer_complete_the_row(post: Any, charge_point: Any) -> None:
    request = post("reset", type="Soft")
    call = await charge_point.expect("Reset")
    ended = await request
    assert (ended.status, ended.code) == (408, "timeout")
    assert ended.seconds > COMMAND_TIMEOUT - 0.2
    assert call.message_id == ended.command_id
    command = Command.objects.get(pk=ended.command_id)
    assert (command.state, command.is_late) == ("timed_out", False)
    await call.reply(status="Accepted")
    await eventually(lambda: Command.objects.get(pk=ended.command_id).state == "accepted")
    command.refresh_from_db()
    assert (command.is_late, command.response) == (True, {"status": "Accepted"})


async def test_takes_the_first_of_two_late_answers(post: Any, charge_point: Any) -> None:
    request = post("reset", type="Soft")
    call = await charge_point.expect("Reset")
    await request
    await call.reply(status="Rejected")
    await call.reply(status="Accepted")
    await charge_point.call("Heartbeat")  # answered in their order, so both have been taken
    command = await eventually(lambda: Command.objects.exclude(response=None).first())
    assert (command.state, command.response) == ("rejected", {"status": "Rejected"})


async def test_sends_the_next_command_after_one_was_not_answered(post: Any, charge_point: Any) -> None:
    first = post("reset", type="Soft")
    await charge_point.expect("Reset")
    assert (await first).status == 408
    second = post("reset", type="Hard")
    call = await charge_point.expect("Reset")
    assert call.payload == {"type": "Hard"}
    await call.reply(status="Accepted")
    assert (await second).status == 200


async def test_never_sends_a_command_that_timed_out_in_the_queue(post: Any, charge_point: Any) -> None:
    first = post("reset", type="Soft")
    await charge_point.expect("Reset")
    # The second goes out when the first has timed out, half its own time being left; the third times out behind it.
    await asyncio.sleep(COMMAND_TIMEOUT / 2)
    second = post("trigger_message", requested_message="Heartbeat")
    await eventually(lambda: Command.objects.count() == 2)
    third = post("clear_charging_profile")
    assert [(await request).status for request in (first, second, third)] == [408, 408, 408]
    fourth = post("reset", type="Hard")
    seen = []
    while not fourth.done():
        call = await asyncio.wait_for(charge_point.calls.get(), 10)
        seen.append(call.action)
        await call.reply(status="Accepted")
        await asyncio.wait([fourth], timeout=0.2)
    assert (await fourth).status == 200
    assert "ClearChargingProfile" not in seen
    assert Command.objects.get(action="ClearChargingProfile").sent_at is None


UNREADABLE: list[Any] = [
    {},
    {"status": 1},
    {"status": "Perhaps"},
    {"state": "Accepted"},
    [],
    "Accepted",
    None,
    {"status": "Accepted", "deep": [[[[{}]]]]},
    {"status": None},
]


@pytest.mark.parametrize("payload", UNREADABLE)
async def test_refuses_an_answer_that_does_not_fit_and_shows_it(post: Any, charge_point: Any, payload: Any) -> None:
    request = post("reset", type="Soft")
    call = await charge_point.expect("Reset")
    await charge_point.send([3, call.message_id, payload])
    ended = await request
    if isinstance(payload, dict) and payload.get("status") == "Accepted":
        assert ended.status == 200  # a member of the vendor's own does no harm
        return
    assert (ended.status, ended.code) == (422, "ocpp_rejected")
    assert ended.body["error"]["details"]["response"] == payload
    command = Command.objects.get()
    assert (command.state, command.response) == ("rejected", payload)


@pytest.mark.parametrize(
    ("rest", "details"),
    [
        (["NotSupported", "No"], {}),
        (["NotSupported", "No", {}], {}),
        (["NotSupported", "No", "a string"], "a string"),
        (["NotSupported", "No", {"request": {"type": "Soft"}}], {"request": {"type": "Soft"}}),
        (["NotSupported", "No", None], {}),
    ],
)
async def test_tells_of_a_call_error_in_any_form(post: Any, charge_point: Any, rest: Any, details: Any) -> None:
    request = post("reset", type="Soft")
    call = await charge_point.expect("Reset")
    await charge_point.send([4, call.message_id, *rest])
    ended = await request
    assert (ended.status, ended.code) == (422, "ocpp_rejected")
    told = ended.body["error"]["details"]
    assert told == {"error_code": "NotSupported", "error_description": "No", "error_details": details}
    assert Command.objects.get().state == "call_error"


async def test_matches_no_answer_on_a_newer_socket(post: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    before = await connect(row)
    request = post("reset", before, type="Hard")
    call = await before.expect("Reset")
    after = await connect(row)
    await after.send([3, call.message_id, {"status": "Accepted"}])
    ended = await request
    assert (ended.status, ended.code) == (422, "charge_point_offline")
    await after.call("Heartbeat")
    assert Command.objects.get(pk=ended.command_id).state == "lost"
