"""One CALL in flight in each direction, and neither direction waits for the other."""

from __future__ import annotations

import asyncio
from typing import Any

from chargepoints.models import ChargePoint


async def test_answers_calls_while_a_command_is_in_flight(post: Any, charge_point: Any) -> None:
    request = post("reset", type="Soft")
    call = await charge_point.expect("Reset")
    assert (await charge_point.boot())["status"] == "Accepted"  # QUIRKS: the boot before the answer
    number = await charge_point.start()
    await charge_point.stop(number)
    await call.reply(status="Accepted")
    ended = await request
    assert (ended.status, ended.body["status"]) == (200, "Accepted")


async def test_commands_two_charge_points_at_once(post: Any, charge_point: Any, connect: Any) -> None:
    other = await connect()
    slow = post("reset", type="Soft")
    waiting = await charge_point.expect("Reset")
    quick = post("reset", other, type="Soft")
    await (await other.expect("Reset")).reply(status="Accepted")
    assert (await quick).status == 200
    assert not slow.done()
    await waiting.reply(status="Accepted")
    assert (await slow).status == 200


async def test_takes_answers_of_many_charge_points_in_any_order(post: Any, connect: Any) -> None:
    others = [await connect() for _ in range(5)]
    requests = [post("trigger_message", other, requested_message="Heartbeat") for other in others]
    calls = [await other.expect("TriggerMessage") for other in others]
    for position in (3, 0, 4, 2, 1):
        await calls[position].reply(status="Rejected" if position == 2 else "Accepted")
    statuses = [(await request).status for request in requests]
    assert statuses == [200, 200, 422, 200, 200]


async def test_loses_a_command_at_once_when_the_charge_point_resets_without_answering(
    post: Any, charge_point: Any, connect: Any
) -> None:
    row = ChargePoint.objects.get(identity=charge_point.identity)
    request = post("reset", type="Hard")
    await charge_point.expect("Reset")
    await charge_point.close()
    again = await connect(row)
    ended = await request
    assert ended.code == "charge_point_offline"
    await again.boot()
    assert again.calls.empty()
    request = post("reset", type="Soft")
    await (await again.expect("Reset")).reply(status="Accepted")
    assert (await request).status == 200


async def test_answers_a_start_before_a_command_that_depends_on_it(post: Any, charge_point: Any) -> None:
    start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-01-01T10:00:00Z"}
    order: list[str] = []

    async def watch() -> None:
        call = await charge_point.expect("Reset")
        order.append("command")
        await call.reply(status="Accepted")

    watching = asyncio.create_task(watch())
    await charge_point.send([2, "s1", "StartTransaction", start])
    request = post("reset", type="Soft")
    frame = await charge_point.frame()
    order.append("answer")
    await watching
    assert frame[:2] == [3, "s1"]
    assert order == ["answer", "command"]
    assert (await request).status == 200
