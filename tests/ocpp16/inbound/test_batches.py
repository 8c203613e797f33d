"""CALLs of many charge points at once, which share a transaction where they can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from chargepoints.models import ChargePoint, ConnectorStatus, MeterValue, Transaction
from ocpp16 import handlers
from ocpp16.frames import Call
from ocpp16.payloads import InvalidPayload
from ocpp16.writer import Writer
from tests.ocpp16.asking import handled

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 12
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}
STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}


def reading(value: int) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T10:05:00Z", "sampledValue": [{"value": str(value)}]}


@pytest.fixture
def rows(make_charge_point: Callable[..., ChargePoint]) -> list[ChargePoint]:
    return [make_charge_point() for _ in range(COUNT)]


async def say(*messages: tuple[ChargePoint, str, dict[str, Any]]) -> list[Any]:
    """What each message is answered, or the exception; all come in one turn of the loop."""
    writer = Writer()
    asking = [writer.handle(row.pk, Call("m", action, payload), set()) for row, action, payload in messages]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    return [answer[0] if isinstance(answer, tuple) else answer for answer in answers]


async def test_share_one_transaction(rows: list[ChargePoint], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    handle = handlers.handle
    monkeypatch.setattr(handlers, "handle", lambda asked, **more: (sizes.append(len(asked)), handle(asked, **more)))
    messages = [
        (row, action, payload)
        for row in rows[:4]
        for action, payload in (("Heartbeat", {}), ("BootNotification", BOOT))
    ]
    assert all(isinstance(answer, dict) for answer in await say(*messages))
    assert sizes == [8]


async def test_belong_to_their_own_charge_points(rows: list[ChargePoint]) -> None:
    started = await say(*((row, "StartTransaction", START) for row in rows))
    numbers = [answer["transactionId"] for answer in started]
    await say(
        *((row, "MeterValues", {"connectorId": 1, "meterValue": [reading(200 + n)]}) for n, row in enumerate(rows[:6])),
        *(
            (
                row,
                "MeterValues",
                {"connectorId": 1, "transactionId": number, "meterValue": [reading(300 + number % 50)]},
            )
            for row, number in zip(rows[6:], numbers[6:], strict=True)
        ),
        *((row, "StatusNotification", {**STATUS, "info": row.identity}) for row in rows),
    )
    for n, (row, number) in enumerate(zip(rows, numbers, strict=True)):
        stored = Transaction.objects.get(charge_point=row)
        assert stored.pk == number
        assert stored.latest_meter_value == (200 + n if n < 6 else 300 + number % 50)
        assert MeterValue.objects.get(charge_point=row).transaction == stored
        assert row.connectors.get().info == row.status_history.get().info == row.identity


async def test_are_refused_each_for_itself(rows: list[ChargePoint]) -> None:
    answers = await say(
        (rows[0], "StatusNotification", {**STATUS, "connectorId": 2**31}),
        (rows[1], "StatusNotification", STATUS),
        (rows[2], "Nonsense", {}),
        (rows[3], "Heartbeat", {}),
    )
    assert [type(answer) for answer in answers] == [InvalidPayload, dict, InvalidPayload, dict]
    assert ConnectorStatus.objects.get().charge_point == rows[1]


async def test_are_not_lost_by_one_that_fails(rows: list[ChargePoint], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(received: Any) -> Any:
        ChargePoint.objects.filter(pk=received.charge_point.pk).update(vendor="half done")
        raise IntegrityError

    monkeypatch.setitem(handlers.HANDLERS, "Authorize", fail)
    answers = await say(
        (rows[0], "StartTransaction", START),
        (rows[1], "Authorize", {"idTag": "TAG"}),
        (rows[2], "StatusNotification", STATUS),
    )
    assert [type(answer) for answer in answers] == [dict, IntegrityError, dict]
    assert Transaction.objects.get().pk == answers[0]["transactionId"]
    assert rows[2].connectors.count() == 1
    assert ChargePoint.objects.get(pk=rows[1].pk).vendor == ""


async def test_keep_the_last_of_two_statuses_of_a_connector(rows: list[ChargePoint]) -> None:
    await say((rows[0], "StatusNotification", STATUS), (rows[0], "StatusNotification", {**STATUS, "status": "Faulted"}))
    assert rows[0].connectors.get().status == "Faulted"
    assert list(rows[0].status_history.order_by("pk").values_list("status", flat=True)) == ["Available", "Faulted"]


async def test_repeat_a_start_with_one_id(rows: list[ChargePoint]) -> None:
    answers = await say(*[(rows[0], "StartTransaction", START)] * 5)
    assert {answer["transactionId"] for answer in answers} == {Transaction.objects.get().pk}


async def test_do_not_wait_for_a_charge_point_that_somebody_holds(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks")
    writer = Writer()
    with transaction.atomic():
        ChargePoint.objects.hold([rows[0].pk], patiently=True)
        waiting = asyncio.create_task(writer.handle(rows[0].pk, Call("m", "StartTransaction", START), set()))
        others = [writer.handle(row.pk, Call("m", "StartTransaction", START), set()) for row in rows[1:]]
        answers = await asyncio.wait_for(asyncio.gather(*others), 5)
        assert len({payload["transactionId"] for payload, _ in answers}) == COUNT - 1
        assert not waiting.done()
    assert (await waiting)[0]["idTagInfo"] == {"status": "Accepted"}


async def test_do_not_wait_long_for_anything_else(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks")
    number = handled(rows[0], "StartTransaction", START)["transactionId"]
    stop = {"transactionId": number, "meterStop": 200, "timestamp": "2026-01-01T11:00:00Z"}
    writer = Writer()
    with transaction.atomic():
        Transaction.objects.select_for_update().get(pk=number)
        waiting = asyncio.create_task(writer.handle(rows[0].pk, Call("m", "StopTransaction", stop), set()))
        answers = await asyncio.wait_for(
            asyncio.gather(*(writer.handle(row.pk, Call("m", "StartTransaction", START), set()) for row in rows[1:])), 5
        )
        assert len(answers) == COUNT - 1
        assert not waiting.done()
    await waiting
    assert Transaction.objects.get(pk=number).meter_stop == 200
