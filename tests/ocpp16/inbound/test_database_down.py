"""A database that is away for a while: nothing is acknowledged that is not stored."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from apikeys import clock
from chargepoints.database import in_database
from chargepoints.models import Transaction
from ocpp16 import handlers
from ocpp16.consumers import ChargePointConsumer
from ocpp16.frames import Call
from ocpp16.handshake import Knock
from ocpp16.journal import KNOWN_SECONDS, journal
from tests.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
BILLING = [
    ("StartTransaction", START),
    ("StopTransaction", {"transactionId": 1, "meterStop": 1, "timestamp": "2026-01-01T10:00:00Z"}),
]
OTHERS = [
    ("Heartbeat", {}),
    ("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}),
    ("StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"}),
    ("MeterValues", {"connectorId": 1, "meterValue": []}),
    ("Authorize", {"idTag": "TAG"}),
]


class Socket:
    """A consumer without a server, and the frames that it sends."""

    def __init__(self, row: Any) -> None:
        self.sent: list[Any] = []
        knock = Knock.of({"type": "websocket", "path": "/", "raw_path": b"/", "headers": [], "subprotocols": []})
        self.consumer = ChargePointConsumer(row, knock, self.receive, self.send, self.write)

    async def receive(self) -> dict[str, Any]:
        return {"type": "websocket.disconnect"}

    async def send(self, event: dict[str, Any]) -> None:
        raise AssertionError(event)

    def write(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def take(self, action: str, payload: Any) -> None:
        await self.consumer.queue(Call("m1", action, payload), 0)
        await self.consumer.dealt_with_all()


@pytest.fixture
def socket(make_charge_point: Any) -> Socket:
    return Socket(make_charge_point())


@pytest.fixture(params=[OperationalError, InterfaceError])
def database_down(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    def refuse(*args: Any) -> Any:
        raise request.param("the server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(handlers, "handle", refuse)
        yield patched


@pytest.mark.parametrize(("action", "payload"), BILLING)
async def test_does_not_answer_starts_and_stops(socket: Socket, database_down: Any, action: str, payload: Any) -> None:
    await socket.take(action, payload)
    assert socket.sent == []


@pytest.mark.parametrize(("action", "payload"), OTHERS)
async def test_answers_anything_else_with_an_error(
    socket: Socket, database_down: Any, action: str, payload: Any
) -> None:
    await socket.take(action, payload)
    assert [frame[:3] for frame in socket.sent] == [[4, "m1", "InternalError"]]


@pytest.mark.parametrize(("action", "payload"), [BILLING[0], OTHERS[0]])
async def test_takes_the_repeat_once_the_database_is_back(
    socket: Socket, database_down: Any, action: str, payload: Any
) -> None:
    await socket.take(action, payload)
    database_down.undo()
    await socket.take(action, payload)
    assert socket.sent[-1][:2] == [3, "m1"]
    assert Transaction.objects.count() == (action == "StartTransaction")


@pytest.fixture
def accepted(socket: Socket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Socket]:
    """Of a charge point that was accepted when the database was there, a moment ago."""
    monkeypatch.setattr(journal, "_looked_at", time.monotonic())
    socket.consumer.channel_name = "ocpp16.accepted"
    journal.hold("ocpp16.accepted", socket.consumer.charge_point, lambda: None)
    yield socket
    journal.release("ocpp16.accepted")


async def test_tells_the_time_without_it(accepted: Socket, database_down: Any) -> None:
    await in_database(clock.refresh)
    await accepted.consumer.receive_text('[2, "m1", "Heartbeat", {}]')
    [[kind, message_id, payload]] = accepted.sent
    assert (kind, message_id) == (3, "m1")
    assert abs(datetime.fromisoformat(payload["currentTime"]) - datetime.now(UTC)) < timedelta(seconds=3)


@pytest.mark.parametrize(("payload", "age"), [("{}", KNOWN_SECONDS + 1), ('{"vendor": "of more"}', 0)])
async def test_tells_no_time_where_it_knows_too_little(
    accepted: Socket, database_down: Any, monkeypatch: pytest.MonkeyPatch, payload: str, age: float
) -> None:
    await in_database(clock.refresh)
    monkeypatch.setattr(journal, "_looked_at", time.monotonic() - age)
    await accepted.consumer.receive_text(f'[2, "m1", "Heartbeat", {payload}]')
    await eventually(lambda: accepted.sent)
    assert [frame[:3] for frame in accepted.sent] == [[4, "m1", "InternalError"]]


async def test_lets_commands_go_out_after_a_start_that_was_not_answered(socket: Socket, database_down: Any) -> None:
    await socket.take(*BILLING[0])
    assert socket.consumer.commands.committing is None
