"""Each command's end is an event, whatever it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from ocpp16.models import Command
from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.events import data_of

from .asking import request, row

COMPLETED = "command.completed"


async def completed(client: ChargePointClient) -> list[dict[str, Any]]:
    return await data_of(row(), COMPLETED)


async def test_tells_the_answer(api: Any, charge_point: Any) -> None:
    asked = request(api, charge_point.identity)
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    answer = await asked
    (event,) = await completed(charge_point)
    assert isinstance(event.pop("response_time_ms"), int)
    assert event == {
        "charge_point_id": charge_point.identity,
        "is_simulated": False,
        "command_id": answer.headers["X-Command-Id"],
        "command": "Reset",
        "state": "accepted",
        "is_late": False,
        "response": {"status": "Accepted"},
        "error_code": None,
        "error_description": None,
    }


async def test_tells_a_rejection_and_an_error(api: Any, charge_point: Any) -> None:
    asked = request(api, charge_point.identity)
    await (await charge_point.expect("Reset")).reply(status="Rejected")
    await asked
    asked = request(api, charge_point.identity)
    await (await charge_point.expect("Reset")).fail("InternalError", "Broken")
    await asked
    rejected, failed = await completed(charge_point)
    assert rejected["state"] == "rejected"
    assert (failed["state"], failed["error_code"], failed["error_description"]) == (
        "call_error",
        "InternalError",
        "Broken",
    )


async def test_tells_a_timeout_and_then_the_late_answer(api: Any, charge_point: Any) -> None:
    asked = request(api, charge_point.identity)
    call = await charge_point.expect("Reset")
    assert (await asked).status_code == 408
    await call.reply(status="Accepted")
    await eventually(lambda: Command.objects.filter(is_late=True).exists())
    timeout, answer = await completed(charge_point)
    assert (timeout["state"], timeout["is_late"]) == ("timed_out", False)
    assert (answer["state"], answer["is_late"]) == ("accepted", True)


async def test_tells_of_a_command_that_reached_nobody(api: Any, make_charge_point: Any) -> None:
    offline = make_charge_point()
    assert (await request(api, offline.identity)).status_code == 422
    (event,) = await data_of(offline, COMPLETED)
    assert event["state"] == "lost"


async def test_tells_of_a_command_that_was_cancelled(api: Any, make_charge_point: Any) -> None:
    offline = make_charge_point()
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = {"deliver": "when_online", "expires_at": expires_at}
    body = {"charge_point_id": offline.identity, "type": "Soft"}
    kept = await api.post("/api/v1/ocpp16/reset", params=query, json=body)
    assert (await api.post(f"{kept.headers['Location']}/cancel")).status_code == 200
    (event,) = await data_of(offline, COMPLETED)
    assert (event["command_id"], event["state"], event["response"]) == (kept.json()["id"], "cancelled", None)


async def test_tells_nothing_of_what_was_one_too_many(api: Any, charge_point: Any) -> None:
    asked = [request(api, charge_point.identity) for _ in range(14)]

    async def answer_all() -> None:
        while True:
            await (await charge_point.calls.get()).reply(status="Accepted")

    answering = asyncio.create_task(answer_all())
    statuses = [(await each).status_code for each in asked]
    answering.cancel()
    assert 429 in statuses
    assert len(await completed(charge_point)) == statuses.count(200)
    assert Command.objects.count() == len(asked)


async def test_names_the_remote_start_that_a_session_came_from(api: Any, charge_point: Any) -> None:
    body = {"charge_point_id": charge_point.identity, "id_tag": "TAG", "connector_id": 1}
    asked = asyncio.create_task(api.post("/api/v1/ocpp16/remote_start_transaction", json=body))
    await (await charge_point.expect("RemoteStartTransaction")).reply(status="Accepted")
    command_id = (await asked).headers["X-Command-Id"]
    await charge_point.start()
    (started,) = await data_of(row(), "session.started")
    assert started["command_id"] == command_id
