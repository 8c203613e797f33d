"""What tests of sockets ask: the API for a command, the socket for its next frame, the database for the row."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from chargepoints.models import ChargePoint
from ocpp16.frames import Call
from ocpp16.handlers import Asked, handle
from ocpp16.writer import writer
from tests.charge_point import ChargePointClient


def row() -> ChargePoint:
    """The one charge point of the test, as it is stored."""
    return ChargePoint.objects.get()


def request(api: Any, identity: str) -> asyncio.Task[Any]:
    """Ask the API for a reset; the task ends with its response."""
    body = {"charge_point_id": identity, "type": "Soft"}
    return asyncio.create_task(api.post("/api/v1/ocpp16/reset", json=body))


async def raw(client: ChargePointClient, text: str | bytes) -> Any:
    """Send a text and return the next frame that answers nothing that `call` asked."""
    await client.send(text)
    return await client.frame()


def handled(row: ChargePoint, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload of the CALLRESULT to a message that is handled by itself."""
    asked = Asked(row.pk, Call("m", action, payload), set())
    handle([asked])
    assert isinstance(asked.outcome, tuple)
    return asked.outcome[0]


async def outcome(row: ChargePoint, action: str, payload: dict[str, Any], triggered: Collection[str] = ()) -> Any:
    """What comes of a message; of one of these actions, the charge point was asked for it."""
    told: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    writer.ask(Asked(row.pk, Call("m", action, payload), {*triggered}), lambda asked: told.set_result(asked.outcome))
    return await told


async def say(*messages: tuple[ChargePoint, str, dict[str, Any]]) -> list[Any]:
    """What each message is answered, or the exception; all come in one turn of the loop."""
    answers = await asyncio.gather(*(outcome(*message) for message in messages))
    return [answer[0] if isinstance(answer, tuple) else answer for answer in answers]


def this_millisecond() -> datetime:
    """Now, as SQLite's clock tells it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
