"""One charge point's socket: what it takes and refuses, its limits, and its log."""

from __future__ import annotations

import json
import struct
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from chargepoints.models import ChargePoint, ConformanceFinding, Transaction
from ocpp16.models import Message
from tests.charge_point import CallErrorReceived
from tests.conftest import eventually

from .asking import raw, request, row
from .knocking import knock


async def test_closes_on_a_binary_frame(charge_point: Any) -> None:
    await charge_point.send(b'[2,"1","Heartbeat",{}]')
    assert (await charge_point.closed())[0] == 1003


async def test_closes_on_text_that_is_not_utf8(charge_point: Any) -> None:
    await charge_point.socket.send(b"\xff\xfe", text=True)
    assert (await charge_point.closed())[0] == 1007


@pytest.mark.parametrize("text", ["", "garbage", '[2,"1","Heartbeat",{}', "[" * 100_000, "{}", '[2,7,"Heartbeat",{}]'])
async def test_answers_a_malformed_frame_and_stays(charge_point: Any, text: str) -> None:
    assert await raw(charge_point, text) == [4, "-1", "FormationViolation", "", {}]
    assert await charge_point.call("Heartbeat")


async def test_closes_after_twenty_malformed_frames(charge_point: Any) -> None:
    for _ in range(19):
        assert (await raw(charge_point, "x"))[1] == "-1"
    assert await charge_point.call("Heartbeat")
    await charge_point.send("x")
    assert (await charge_point.closed())[0] == 1008


@pytest.mark.parametrize("depth", [70, 300, 900, 50_000])
async def test_stays_through_deep_answers_and_calls(api: Any, charge_point: Any, depth: int) -> None:
    asked = request(api, charge_point.identity)
    call = await charge_point.expect("Reset")
    deep = "[" * depth + "]" * depth
    assert (await raw(charge_point, f'[3,"{call.message_id}",{{"status":{deep}}}]'))[1] == "-1"
    assert (await raw(charge_point, f'[2,"d","StatusNotification",{{"info":{deep}}}]'))[1] == "-1"
    await call.reply(status="Accepted")
    assert (await asked).status_code == 200


@pytest.mark.parametrize("text", ['[5,"1",{}]', '[1,"1"]', '["2","1","Heartbeat",{}]', '[3,"unknown",{}]', '[4,"x"]'])
async def test_ignores_what_is_no_business_of_ours(charge_point: Any, text: str) -> None:
    await charge_point.send(text)
    assert await charge_point.call("Heartbeat")
    assert charge_point.others.empty()


async def test_counts_answers_to_unknown_ids(charge_point: Any) -> None:
    await charge_point.send([3, "unknown-1", {}])
    await charge_point.send([4, "unknown-2", "GenericError", "", {}])
    await charge_point.send([3, "00000000-0000-4000-8000-000000000000", {}])
    findings = ConformanceFinding.objects.filter(kind="answer to an unknown message id", count=3)
    await eventually(findings.exists)


@pytest.mark.parametrize(
    ("action", "payload", "code"),
    [
        ("CustomOperation", {}, "NotImplemented"),
        ("Reset", {"type": "Soft"}, "NotSupported"),
        ("Heartbeat", [], "FormationViolation"),
        ("Heartbeat", {"x": 1}, "FormationViolation"),
        ("Authorize", {}, "OccurenceConstraintViolation"),
        ("Authorize", {"idTag": 1}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": "x" * 21}, "PropertyConstraintViolation"),
        ("Authorize", {"idTag": "\x00"}, "PropertyConstraintViolation"),
        ("Authorize", {"idTag": "\ud800"}, "PropertyConstraintViolation"),
        ("MeterValues", {"connectorId": float("nan")}, "TypeConstraintViolation"),
        (
            "StartTransaction",
            {"connectorId": 10**30, "idTag": "T", "meterStart": 0, "timestamp": "x"},
            "PropertyConstraintViolation",
        ),
    ],
)
async def test_answers_a_bad_call_with_its_error(charge_point: Any, action: str, payload: Any, code: str) -> None:
    with pytest.raises(CallErrorReceived) as raised:
        await charge_point.call(action, payload)
    assert raised.value.code == code
    assert await charge_point.call("Heartbeat")


async def test_keeps_the_stop_whose_reason_is_null(charge_point: Any) -> None:
    number = await charge_point.start()
    assert (
        await charge_point.stop(number, 900, reason=None, transactionData=[{"sampledValue": [{"value": None}]}]) == {}
    )
    assert Transaction.objects.get(pk=number).meter_stop == 900


async def test_takes_an_exponent_beyond_all_measure(charge_point: Any) -> None:
    number = await charge_point.start()
    assert await charge_point.measure("1e999999999", "2026-01-01T10:05:00Z", transactionId=number) == {}


async def test_takes_a_message_of_a_megabyte(charge_point: Any) -> None:
    payload = {"chargePointVendor": "v" * 1024 * 1024, "chargePointModel": "M"}
    assert (await charge_point.call("BootNotification", payload))["status"] == "Accepted"


async def test_answers_large_messages_among_small_ones_in_their_order(charge_point: Any) -> None:
    for number in range(12):
        length = 300_000 if number % 3 == 0 else 3
        await charge_point.send([2, f"l{number}", "DataTransfer", {"vendorId": "V", "data": "x" * length}])
    assert [(await charge_point.frame())[1] for _ in range(12)] == [f"l{number}" for number in range(12)]


async def test_closes_on_a_message_beyond_four_megabytes(charge_point: Any) -> None:
    # The head alone: a client that is still writing when the server closes may lose the reason.
    head = b"\x81\xff" + struct.pack(">Q", 4 * 1024 * 1024 + 1) + bytes(4)
    charge_point.socket.transport.write(head)
    assert (await charge_point.closed())[0] == 1009
    await eventually(lambda: not row().channel_name)


async def test_drops_a_peer_that_reads_nothing(servers: Any, make_charge_point: Any) -> None:
    port = servers.charge_points.port
    pings = (b"\x89\xfd" + bytes(4) + b"x" * 125) * 1000
    async with await knock(port, f"/ocpp16/{make_charge_point().identity}") as answer:
        with pytest.raises(ConnectionError):
            for _ in range(200):
                answer.writer.write(pings)
                await answer.writer.drain()
    await eventually(lambda: not row().channel_name)


async def test_logs_both_directions(api: Any, charge_point: Any) -> None:
    asked = request(api, charge_point.identity)
    call = await charge_point.expect("Reset")
    await call.reply(status="Accepted")
    await asked
    with pytest.raises(CallErrorReceived):
        await charge_point.call("Nonsense", {}, message_id="n")
    await raw(charge_point, "garbage\x00")
    await eventually(lambda: Message.objects.filter(kind=0).exists())
    log = [(m.direction, m.kind, m.action) for m in Message.objects.order_by("id")]
    assert log[:4] == [
        ("in", 2, "BootNotification"),
        ("out", 3, "BootNotification"),
        ("in", 2, "StatusNotification"),
        ("out", 3, "StatusNotification"),
    ]
    assert log[4:6] == [("out", 2, "Reset"), ("in", 3, "Reset")]
    assert log[6:8] == [("in", 2, "Nonsense"), ("out", 4, "Nonsense")]
    assert log[8] == ("in", 0, "")
    assert log[9][:2] == ("out", 4)
    answer = Message.objects.get(direction="in", kind=3)
    assert answer.message_id == call.message_id
    assert json.loads(answer.frame) == [3, call.message_id, {"status": "Accepted"}]


async def test_notes_any_message_as_a_sign_of_life(charge_point: Any) -> None:
    ChargePoint.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    await charge_point.send([3, "unknown", {}])
    await eventually(lambda: timezone.now() - row().last_seen_at < timedelta(seconds=30))
