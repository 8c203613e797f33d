"""Meter values and statuses are stored before it is known that their sender is accepted; nobody else gets through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apikeys import clock
from chargepoints.database import in_database
from chargepoints.models import ChargePoint, Connector, ConnectorStatus, MeterValue, Transaction
from ocpp16.frames import Call
from ocpp16.handlers import Asked
from ocpp16.meter_values import known_transactions
from ocpp16.payloads import InvalidPayload
from ocpp16.writer import handle_together
from tests.events import data_of, published
from tests.ocpp16.asking import handled, outcome, say

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 4
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
READING = {"timestamp": "2026-01-01T10:05:00Z", "sampledValue": [{"value": "110"}]}
READINGS = {"connectorId": 1, "meterValue": [READING]}
MEASURED = ("MeterValues", READINGS)
STATUS = ("StatusNotification", {"connectorId": 1, "status": "Available", "errorCode": "NoError"})
KINDS = {"readings": [MEASURED] * COUNT, "statuses": [STATUS] * COUNT, "both": [MEASURED, STATUS] * 2}
Spoken = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def rows(make_charge_point: Callable[..., ChargePoint]) -> Iterator[list[ChargePoint]]:
    clock.refresh()
    yield [make_charge_point() for _ in range(COUNT)]
    known_transactions.forget()


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def spoken(request: Any) -> Spoken:
    return request.param


def stored(row: ChargePoint) -> int:
    """How much of what a charge point said there is."""
    return row.meter_values.count() + row.status_history.count() + row.connectors.count()


async def all_say(rows: list[ChargePoint], spoken: Spoken) -> list[Any]:
    return await say(*((row, *each) for row, each in zip(rows, spoken, strict=True)))


async def test_are_stored(rows: list[ChargePoint], spoken: Spoken) -> None:
    assert await all_say(rows, spoken) == [{}] * COUNT
    assert all(map(stored, rows))


@pytest.mark.parametrize("status", ["Pending", "Rejected"])
@pytest.mark.parametrize("who", range(2))
async def test_of_who_is_not_accepted_are_refused_alone(
    rows: list[ChargePoint], spoken: Spoken, status: str, who: int
) -> None:
    ChargePoint.objects.filter(pk=rows[who].pk).update(registration_status=status)
    answers = await all_say(rows, spoken)
    refusal = answers.pop(who)
    assert isinstance(refusal, InvalidPayload)
    assert refusal.code == "SecurityError"
    assert answers == [{}] * (COUNT - 1)
    assert [bool(stored(row)) for row in rows] == [row is not rows[who] for row in rows]
    assert not await published(rows[who], "charge_point.status_changed")


async def test_of_who_is_gone_cost_the_others_nothing(rows: list[ChargePoint], spoken: Spoken) -> None:
    ChargePoint.objects.filter(pk=rows[0].pk).delete()
    gone, *answers = await all_say(rows, spoken)
    assert isinstance(gone, ChargePoint.DoesNotExist)
    assert answers == [{}] * (COUNT - 1)
    assert all(map(stored, rows[1:]))


async def test_are_taken_from_who_was_asked_for_them(rows: list[ChargePoint]) -> None:
    ChargePoint.objects.update(registration_status="Pending")
    answers = await asyncio.gather(
        outcome(rows[0], *MEASURED, triggered={"MeterValues"}),
        outcome(rows[1], *STATUS, triggered={"StatusNotification"}),
        outcome(rows[2], *STATUS, triggered={"MeterValues"}),
    )
    assert answers[:2] == [({}, {}), ({}, {})]
    assert answers[2].code == "SecurityError"
    assert [stored(row) for row in rows] == [1, 2, 0, 0]


async def test_are_stored_where_nobody_knows_the_time(rows: list[ChargePoint], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "known_now", lambda: None)
    assert await all_say(rows, [MEASURED, STATUS] * 2) == [{}] * COUNT
    assert all(map(stored, rows))


async def test_have_the_time_of_the_database(rows: list[ChargePoint], monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is not asked for that before, and what a process makes of its last answer may be wrong."""
    before = clock.refresh()
    monkeypatch.setattr(clock, "known_now", lambda: before + timedelta(minutes=2))
    impossible = {**READINGS, "meterValue": [{**READING, "timestamp": "0001-01-01T00:00:00Z"}]}
    await all_say(rows, [("MeterValues", impossible), STATUS] * 2)
    times = [at for row in MeterValue.objects.all() for at in (row.received_at, row.timestamp)]
    times += [at for row in ConnectorStatus.objects.all() for at in (row.received_at, row.timestamp)]
    times += Connector.objects.values_list("timestamp", flat=True)
    assert len(times) == 10
    assert all(before - timedelta(seconds=1) < at <= clock.refresh() for at in times)
    (changed,) = await data_of(rows[1], "charge_point.status_changed")
    assert changed["timestamp"] == clock.written(ConnectorStatus.objects.get(charge_point=rows[1]).timestamp)


async def test_are_told_of(rows: list[ChargePoint]) -> None:
    number = (await in_database(handled, rows[0], "StartTransaction", START))["transactionId"]
    assert await say((rows[0], "MeterValues", {**READINGS, "transactionId": number})) == [{}]
    assert [data["current_meter_value"] for data in await data_of(rows[0], "session.updated")] == [110]
    assert Transaction.objects.get().latest_meter_value == 110


async def test_are_told_of_though_somebody_is_refused(rows: list[ChargePoint]) -> None:
    number = (await in_database(handled, rows[0], "StartTransaction", START))["transactionId"]
    ChargePoint.objects.filter(pk=rows[1].pk).update(registration_status="Pending")
    measured, refused = await say((rows[0], "MeterValues", {**READINGS, "transactionId": number}), (rows[1], *STATUS))
    assert measured == {}
    assert isinstance(refused, InvalidPayload)
    assert [data["current_meter_value"] for data in await data_of(rows[0], "session.updated")] == [110]


async def test_do_not_wait_for_a_transaction_that_somebody_holds(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks")
    numbers = [(await in_database(handled, row, "StartTransaction", START))["transactionId"] for row in rows]
    with transaction.atomic():
        Transaction.objects.select_for_update().get(pk=numbers[0])
        saying = [
            asyncio.create_task(outcome(row, "MeterValues", {**READINGS, "transactionId": number}))
            for row, number in zip(rows, numbers, strict=True)
        ]
        assert await asyncio.wait_for(asyncio.gather(*saying[1:]), 5) == [({}, {})] * (COUNT - 1)
        assert not saying[0].done()
    assert await saying[0] == ({}, {})
    assert set(Transaction.objects.values_list("latest_meter_value", flat=True)) == {110}


async def test_have_told_the_next_time_what_somebody_holds(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks")
    number = (await in_database(handled, rows[0], "StartTransaction", START))["transactionId"]
    Transaction.objects.update(latest_meter_value=105, latest_meter_at=timezone.now())
    before = timezone.now() - timedelta(minutes=1)

    def tell() -> set[int]:
        return Transaction.objects.tell([number], before, timezone.now())

    with transaction.atomic():
        Transaction.objects.select_for_update().get(pk=number)
        assert await asyncio.wait_for(in_database(tell), 5) == set()
    assert tell() == {number}


async def test_take_one_statement(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite asks beforehand who is accepted")
    number = (await in_database(handled, rows[0], "StartTransaction", START))["transactionId"]
    measured = {**READINGS, "transactionId": number}
    await in_database(handled, rows[0], "MeterValues", measured)  # asks whose the transaction is, and tells of it
    assert await in_database(statements, rows[0], "MeterValues", measured) == [("INSERT", False)]


def statements(row: ChargePoint, action: str, payload: dict[str, Any]) -> list[tuple[str, bool]]:
    """What the database is asked to do for a message, and whether in a transaction of several statements."""
    asked: list[tuple[str, bool]] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        word = next(word for word in ("INSERT", "SELECT", "UPDATE") if word in sql)
        asked.append((word, connection.in_atomic_block))
        return execute(sql, *args)

    with connection.execute_wrapper(note):
        handle_together([Asked(row.pk, Call("m", action, payload), set())])
    return asked
