"""The door while the database is away: a status that says come again, and no trace of a socket."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from chargepoints.models import ChargePoint
from ocpp16 import door, porter
from ocpp16.handshake import Knock
from ocpp16.journal import journal

pytestmark = pytest.mark.django_db(transaction=True)


async def knock(identity: str) -> list[dict[str, Any]]:
    """What the door sends to a handshake whose peer then waits."""
    sent: list[dict[str, Any]] = []
    events = [{"type": "websocket.disconnect", "code": 1006}, {"type": "websocket.connect"}]

    async def receive() -> dict[str, Any]:
        return events.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "raw_path": f"/ocpp16/{identity}".encode(),
        "headers": [],
        "subprotocols": ["ocpp1.6"],
        "client": ["127.0.0.1", 1],
        "extensions": {"dynamo.text": {"write": lambda text: sent.append({"text": text})}},
    }
    await door.charge_point_socket(scope, receive, send)
    return sent


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
@pytest.mark.parametrize("name", ["admit", "connect"])
async def test_asks_to_come_again_while_the_database_is_away(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception], name: str
) -> None:
    def fail(*args: Any) -> None:
        raise error("the database is away")

    identity = make_charge_point().identity
    monkeypatch.setattr(porter.porter._admitting if name == "admit" else porter.porter._registering, "_work", fail)
    start, body = await knock(identity)
    assert start["status"] == 503
    assert (b"Retry-After", b"5") in start["headers"]
    assert b"database" in body["body"]
    assert not journal._sockets
    assert not ChargePoint.objects.get().channel_name


async def test_asks_to_come_again_where_too_many_wait(make_charge_point: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(porter, "MAXIMUM_WAITING", 2)
    held = threading.Event()
    monkeypatch.setattr(porter.porter._admitting, "_work", lambda arrivals: held.wait(10))
    first = [asyncio.create_task(porter.porter.admit(Knock(b"", [], "", False, b""))) for _ in range(2)]
    await asyncio.sleep(0)  # they wait
    start, body = await knock(make_charge_point().identity)
    held.set()
    await asyncio.gather(*first, return_exceptions=True)
    assert start["status"] == 503
    assert 10 <= int(dict(start["headers"])[b"Retry-After"]) <= 40
    assert b"too many" in body["body"]
    monkeypatch.undo()
    (accepted,) = await knock(make_charge_point().identity)
    assert accepted["type"] == "websocket.accept"


async def test_leaves_no_trace_of_a_peer_that_hung_up_before_it_was_let_in(make_charge_point: Any) -> None:
    identity = make_charge_point().identity
    (accepted,) = await knock(identity)
    assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", "ocpp1.6")
    row = ChargePoint.objects.get()
    assert (row.channel_name, row.online_until) == ("", None)
    assert row.disconnected_at is not None
    assert not journal._sockets


async def test_leaves_the_lease_where_the_end_cannot_be_stored(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("the database is away")

    identity = make_charge_point().identity
    monkeypatch.setattr(ChargePoint, "disconnect", fail)
    await knock(identity)
    assert not journal._sockets
    assert ChargePoint.objects.get().online_until is not None
