"""The order of a conversation: duplicates, pipelined CALLs, and our CALLs among them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chargepoints.models import ChargePoint, ConnectorStatus, Notification
from ocpp16.consumers import LARGE_FRAME, MAXIMUM_INBOUND, ChargePointConsumer
from ocpp16.handshake import Knock
from ocpp16.log_fields import current
from ocpp16.models import Command
from tests.charge_point import CallErrorReceived
from tests.conftest import eventually

from .asking import raw, request

KNOCK = Knock.of({"type": "websocket", "path": "/", "raw_path": b"/", "headers": [], "subprotocols": []})
HEARTBEAT = '[2,"{}","Heartbeat",{{}}]'


async def test_gives_the_stored_answer_to_a_duplicate(charge_point: Any) -> None:
    frame = [2, "dup", "DataTransfer", {"vendorId": "V"}]
    assert await raw(charge_point, json.dumps(frame)) == await raw(charge_point, json.dumps(frame, indent=1))
    assert Notification.objects.filter(action="DataTransfer").count() == 1


async def test_knows_the_duplicates_of_as_many_as_may_be_on_their_way(charge_point: Any) -> None:
    for number in (*range(MAXIMUM_INBOUND + 1), 1, 0):
        await charge_point.call("DataTransfer", {"vendorId": "V"}, message_id=str(number))
    assert Notification.objects.count() == MAXIMUM_INBOUND + 2


async def test_remembers_no_answers_to_what_says_nothing(charge_point: Any) -> None:
    await charge_point.call("DataTransfer", {"vendorId": "V"}, message_id="first")
    for number in range(2 * MAXIMUM_INBOUND):
        await charge_point.call("Heartbeat", message_id=str(number))
    await charge_point.call("DataTransfer", {"vendorId": "V"}, message_id="first")
    assert Notification.objects.count() == 1


async def test_takes_the_same_id_with_another_payload_for_a_new_message(charge_point: Any) -> None:
    for data in ("a", "b", "a"):
        await charge_point.call("DataTransfer", {"vendorId": "V", "data": data}, message_id="1")
    await charge_point.call("DiagnosticsStatusNotification", {"status": "Idle"}, message_id="1")
    assert Notification.objects.count() == 3


async def test_takes_the_same_id_on_a_new_connection_for_a_new_message(connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    for _ in range(2):
        client = await connect(charge_point)
        await client.call("DataTransfer", {"vendorId": "V"}, message_id="1")
        await client.close()
    assert Notification.objects.count() == 2


async def test_takes_the_same_id_of_two_charge_points_for_two_messages(connect: Any) -> None:
    for client in (await connect(), await connect()):
        await client.call("DataTransfer", {"vendorId": "V"}, message_id="1")
    assert Notification.objects.count() == 2


async def test_asks_again_after_an_error_was_answered(charge_point: Any) -> None:
    ChargePoint.objects.update(registration_status="Pending")
    with pytest.raises(CallErrorReceived, match="SecurityError"):
        await charge_point.call("DataTransfer", {"vendorId": "V"}, message_id="1")
    assert not Notification.objects.exists()
    ChargePoint.objects.update(registration_status="Accepted")
    assert await charge_point.call("DataTransfer", {"vendorId": "V"}, message_id="1")


async def test_answers_two_hundred_pipelined_calls_in_their_order(charge_point: Any) -> None:
    for number in range(200):
        await charge_point.send(HEARTBEAT.format(f"p{number}"))
    answered = [(await charge_point.frame())[1] for _ in range(200)]
    assert answered == [f"p{number}" for number in range(200)]


async def test_answers_behind_a_frame_that_is_read_in_a_thread(charge_point: Any) -> None:
    await charge_point.send([2, "large", "DataTransfer", {"vendorId": "V", "data": "x" * 2 * LARGE_FRAME}])
    for number in range(3):
        await charge_point.send(HEARTBEAT.format(f"p{number}"))
    answered = [(await charge_point.frame())[1] for _ in range(4)]
    assert answered == ["large", "p0", "p1", "p2"]


async def test_stores_pipelined_statuses_in_their_order(charge_point: Any) -> None:
    statuses = ["Preparing", "Charging", "SuspendedEV", "Finishing", "Available"] * 4
    for number, status in enumerate(statuses):
        payload = {"connectorId": 2, "status": status, "errorCode": "NoError"}
        await charge_point.send([2, f"s{number}", "StatusNotification", payload])
    for _ in statuses:
        await charge_point.frame()
    stored = ConnectorStatus.objects.filter(connector_id=2).order_by("id").values_list("status", flat=True)
    assert list(stored) == statuses


async def test_finishes_what_was_sent_before_a_hang_up(charge_point: Any) -> None:
    for number in range(20):
        await charge_point.send([2, f"h{number}", "DataTransfer", {"vendorId": str(number)}])
    await charge_point.socket.close()
    await eventually(lambda: Notification.objects.count() == 20)


async def test_answers_calls_while_ours_is_open(api: Any, charge_point: Any) -> None:
    asked = request(api, charge_point.identity)
    call = await charge_point.expect("Reset")
    for _ in range(5):
        assert await charge_point.call("Heartbeat")
    assert not asked.done()
    await call.reply(status="Accepted")
    assert (await asked).status_code == 200


async def test_goes_on_after_a_command_that_nobody_answers(api: Any, charge_point: Any) -> None:
    first = request(api, charge_point.identity)
    await charge_point.expect("Reset")
    assert await charge_point.boot()
    assert (await first).status_code == 408
    asked = request(api, charge_point.identity)
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    assert (await asked).status_code == 200


async def test_has_one_call_in_flight(api: Any, charge_point: Any) -> None:
    asked = [request(api, charge_point.identity) for _ in range(3)]
    for _ in asked:
        call = await charge_point.expect("Reset")
        assert await charge_point.call("Heartbeat")
        assert charge_point.calls.empty()
        await call.reply(status="Accepted")
    assert {(await task).status_code for task in asked} == {200}


async def test_ends_a_command_at_once_when_the_socket_closes(api: Any, charge_point: Any) -> None:
    asked = request(api, charge_point.identity)
    await charge_point.expect("Reset")
    await charge_point.close()
    response = await asked
    assert response.status_code == 422  # not 408, as after the timeout
    assert response.json()["error"]["code"] == "charge_point_offline"
    assert Command.objects.get().state == Command.State.LOST


async def test_never_matches_an_answer_on_a_newer_socket(api: Any, connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    old = await connect(charge_point)
    asked = request(api, charge_point.identity)
    call = await old.expect("Reset")
    new = await connect(charge_point)
    assert (await asked).status_code == 422
    await new.send([3, call.message_id, {"status": "Accepted"}])
    assert await new.call("Heartbeat")
    assert Command.objects.get().state == Command.State.LOST


async def test_lets_no_charge_point_answer_for_another(api: Any, connect: Any) -> None:
    one, other = await connect(), await connect()
    asked = request(api, one.identity)
    call = await one.expect("Reset")
    await other.send([3, call.message_id, {"status": "Accepted"}])
    assert await other.call("Heartbeat")
    assert not asked.done()
    await call.reply(status="Rejected")
    assert (await asked).status_code == 422


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [2, 3])
async def test_holds_long_frames_only_until_they_are_too_long(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    consumer = make_consumer(make_charge_point(), asyncio.Queue())
    frame = json.dumps([kind, "m", "DataTransfer", {"vendorId": "V", "data": "x" * 60_000}])
    monkeypatch.setattr(consumer, "deal_with", lambda _: False)
    for _ in range(4):
        await consumer.receive_text(frame)
    fifth = asyncio.create_task(consumer.receive_text(frame))
    for _ in range(4):
        await asyncio.sleep(0.01)
        assert not fifth.done()
        consumer.dealt()
    assert await fifth


def make_consumer(row: ChargePoint, events: asyncio.Queue[Any]) -> ChargePointConsumer:
    return ChargePointConsumer(row, KNOCK, events.get, events.put, events.put_nowait)


@pytest.mark.django_db(transaction=True)
async def test_closes_a_socket_that_an_answer_cannot_be_written_to(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    consumer = make_consumer(make_charge_point(), events)
    monkeypatch.setattr(consumer, "write", {}.pop)
    await consumer.receive_text('[2, "m", "DataTransfer", {"vendorId": "V"}]')
    assert await asyncio.wait_for(events.get(), 5) == {
        "type": "websocket.close",
        "code": 1011,
        "reason": "internal error",
    }
    assert not consumer.is_dealing


@pytest.mark.django_db(transaction=True)
async def test_ends_what_waits_behind_an_answer_that_cannot_be_written(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is answered at once in its turn, as the known is; the message behind it is stored all the same."""
    consumer = make_consumer(make_charge_point(), asyncio.Queue())
    frame = '[2, "{}", "DataTransfer", {{"vendorId": "V"}}]'
    await consumer.receive_text(frame.format("known"))
    await consumer.dealt_with_all()
    monkeypatch.setattr(consumer, "write", {}.pop)
    for message_id in ("1", "known", "2"):
        await consumer.receive_text(frame.format(message_id))
    await asyncio.wait_for(consumer.dealt_with_all(), 5)
    assert await Notification.objects.filter(action="DataTransfer").acount() == 3


@pytest.mark.django_db(transaction=True)
async def test_has_log_lines_say_which_message_is_answered(
    make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make_charge_point()
    consumer = make_consumer(row, asyncio.Queue())
    said: list[Any] = []
    monkeypatch.setattr(consumer, "reply", lambda *_: said.append(dict(current())))
    for message_id, action in (("1", "DataTransfer"), ("2", "Heartbeat"), ("3", "DataTransfer")):
        await consumer.receive_text(json.dumps([2, message_id, action, {"vendorId": "V"}]))
    await consumer.dealt_with_all()
    assert said == [
        {"charge_point": row.identity, "message_id": message_id, "action": action}
        for message_id, action in (("1", "DataTransfer"), ("2", "Heartbeat"), ("3", "DataTransfer"))
    ]


@pytest.mark.django_db(transaction=True)
async def test_lets_others_have_their_turn_between_answers_that_are_known(make_charge_point: Any) -> None:
    consumer = make_consumer(make_charge_point(), asyncio.Queue())
    frame = '[2, "m", "DataTransfer", {"vendorId": "V"}]'
    await consumer.receive_text(frame)
    await consumer.dealt_with_all()
    turns: list[str] = []

    async def repeat() -> None:
        for _ in range(3):
            await consumer.receive_text(frame)
            turns.append("peer")

    async def others() -> None:
        for _ in range(3):
            turns.append("others")
            await asyncio.sleep(0)

    await asyncio.gather(repeat(), others())
    assert turns[:4] == ["others", "peer", "others", "peer"]
