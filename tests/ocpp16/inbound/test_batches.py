"""CALLs of many charge points at once, which share a transaction where they can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from chargepoints.database import in_database
from chargepoints.models import ChargePoint, ConnectorStatus, IdTag, MeterValue, OrphanStop, Transaction
from ocpp16 import handlers, writer
from ocpp16.frames import Call
from ocpp16.handlers import Asked
from ocpp16.payloads import InvalidPayload
from ocpp16.writer import leave_alone
from tests.events import published
from tests.ocpp16.asking import handled, outcome, say

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 12
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}
STATUS = {"connectorId": 1, "status": "Available", "errorCode": "NoError"}
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
STOP = {"meterStop": 200, "timestamp": "2026-01-01T11:00:00Z", "reason": "Local"}


def reading(value: int) -> dict[str, Any]:
    return {"timestamp": "2026-01-01T10:05:00Z", "sampledValue": [{"value": str(value)}]}


@pytest.fixture
def rows(make_charge_point: Callable[..., ChargePoint]) -> list[ChargePoint]:
    return [make_charge_point() for _ in range(COUNT)]


async def test_share_one_transaction(rows: list[ChargePoint], monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    handle = handlers.handle
    monkeypatch.setattr(handlers, "handle", lambda asked, **more: (sizes.append(len(asked)), handle(asked, **more)))
    spoken = [("Heartbeat", {}), ("BootNotification", BOOT)] * 4
    messages = [(row, *each) for row, each in zip(rows, spoken, strict=False)]
    assert all(isinstance(answer, dict) for answer in await say(*messages))
    assert sizes == [8]


async def test_hold_no_two_of_one_charge_point(rows: list[ChargePoint]) -> None:
    """Of two sockets, of which one has been replaced: what the first says must have been stored before the other's."""
    asked = [Asked(row.pk, Call("m", "StatusNotification", STATUS), set()) for row in (rows[0], rows[1], rows[0])]
    await in_database(handlers.handle, asked)
    assert [each.outcome for each in asked] == [({}, {}), ({}, {}), None]


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


@pytest.fixture
def handled_together(rows: list[ChargePoint], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All batches are handled as they come: none of its messages had to be handled by itself."""
    alone: list[Any] = []
    monkeypatch.setattr(writer, "leave_alone", lambda asked: alone.extend(asked) or leave_alone(asked))
    yield
    assert not alone


@pytest.fixture
def numbers(rows: list[ChargePoint]) -> list[int]:
    """A transaction of each."""
    return [handled(row, "StartTransaction", START)["transactionId"] for row in rows]


def stop(number: int, **more: Any) -> dict[str, Any]:
    return {"transactionId": number, **STOP, **more}


async def test_stop_each_its_own(rows: list[ChargePoint], numbers: list[int], handled_together: None) -> None:
    stops = [stop(number, meterStop=200 + n, reason=f"R{n}", idTag=f"T{n}") for n, number in enumerate(numbers)]
    answers = await say(*((row, "StopTransaction", each) for row, each in zip(rows, stops, strict=True)))
    assert answers == [{"idTagInfo": {"status": "Accepted"}}] * COUNT
    for n, number in enumerate(numbers):
        stored = Transaction.objects.get(pk=number)
        assert (stored.state, stored.charge_point) == ("stopped", rows[n])
        assert (stored.meter_stop, stored.stop_reason, stored.stop_id_tag) == (200 + n, f"R{n}", f"T{n}")
        assert stored.stopped_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
        assert stored.stop_received_at is not None


async def test_stop_what_others_are_refused_for(
    rows: list[ChargePoint], numbers: list[int], handled_together: None
) -> None:
    answers = await say(
        (rows[0], "StopTransaction", stop(numbers[0], meterStop=2**63)),
        (rows[1], "StopTransaction", stop(numbers[0])),
        (rows[2], "StopTransaction", stop(numbers[2])),
        (rows[3], "StopTransaction", stop(2**63)),
    )
    assert [type(answer) for answer in answers] == [InvalidPayload, dict, dict, InvalidPayload]
    assert list(Transaction.objects.exclude(state="active").values_list("pk", flat=True)) == [numbers[2]]


async def test_keep_the_first_of_two_stops(rows: list[ChargePoint], numbers: list[int], handled_together: None) -> None:
    stops = [stop(numbers[0], meterStop=meter_stop) for meter_stop in (200, 300, 200)]
    assert await say(*((rows[0], "StopTransaction", each) for each in stops)) == [{}] * 3
    assert Transaction.objects.get(pk=numbers[0]).meter_stop == 200
    kept = OrphanStop.objects.get()
    assert (kept.meter_stop, kept.matched_id) == (300, numbers[0])
    assert len(await published(rows[0], "session.ended")) == 1


async def test_know_a_start_that_came_with_its_stop(rows: list[ChargePoint], handled_together: None) -> None:
    await say((rows[0], "StartTransaction", START), (rows[0], "StopTransaction", stop(-1)))
    assert Transaction.objects.get().meter_stop == 200
    assert OrphanStop.objects.get().matched == Transaction.objects.get()


async def test_close_a_start_that_came_with_the_next(rows: list[ChargePoint], handled_together: None) -> None:
    await say(*((rows[0], "StartTransaction", {**START, "meterStart": energy}) for energy in (100, 300)))
    states = Transaction.objects.order_by("meter_start").values_list("meter_start", "state")
    assert list(states) == [(100, "inferred"), (300, "active")]


async def test_believe_a_stop_more_than_what_was_guessed_before(rows: list[ChargePoint], numbers: list[int]) -> None:
    others = [(rows[1], "StopTransaction", stop(numbers[1]))]
    await say(*others, *((rows[0], "StopTransaction", each) for each in (stop(0), stop(numbers[0], meterStop=300))))
    assert Transaction.objects.get(pk=numbers[0]).meter_stop == 300


async def test_start_again_what_looks_like_the_session_that_is_being_stopped(rows: list[ChargePoint]) -> None:
    start = {**START, "timestamp": "0001-01-01T00:00:00Z"}
    number = (await in_database(handled, rows[0], "StartTransaction", start))["transactionId"]
    _, _, again = await say(
        (rows[1], "StartTransaction", START),
        (rows[0], "StopTransaction", stop(number)),
        (rows[0], "StartTransaction", start),
    )
    assert again["transactionId"] != number
    assert Transaction.objects.active().get(charge_point=rows[0]).pk == again["transactionId"]


async def test_start_a_tag_once(rows: list[ChargePoint], handled_together: None) -> None:
    """One that is listed; of what is not, nothing says that it is one card."""
    IdTag.objects.create(organization=rows[0].organization, id_tag="CARD")
    tags = ("card", "TAG", "CARD", "TAG", "Card")
    answers = await say(
        *((row, "StartTransaction", {**START, "idTag": tag}) for row, tag in zip(rows, tags, strict=False))
    )
    assert [answer["idTagInfo"]["status"] for answer in answers] == [
        *("Accepted", "Accepted", "ConcurrentTx", "Accepted", "ConcurrentTx")
    ]


async def test_do_not_wait_for_a_charge_point_that_somebody_holds(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks")
    with transaction.atomic():
        ChargePoint.objects.hold([rows[0].pk], patiently=True)
        waiting = asyncio.create_task(outcome(rows[0], "StartTransaction", START))
        others = [outcome(row, "StartTransaction", START) for row in rows[1:]]
        answers = await asyncio.wait_for(asyncio.gather(*others), 5)
        assert len({payload["transactionId"] for payload, _ in answers}) == COUNT - 1
        assert not waiting.done()
    assert (await waiting)[0]["idTagInfo"] == {"status": "Accepted"}


async def test_do_not_wait_long_for_anything_else(rows: list[ChargePoint]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row locks")
    number = handled(rows[0], "StartTransaction", START)["transactionId"]
    stop = {"transactionId": number, "meterStop": 200, "timestamp": "2026-01-01T11:00:00Z"}
    with transaction.atomic():
        Transaction.objects.select_for_update().get(pk=number)
        waiting = asyncio.create_task(outcome(rows[0], "StopTransaction", stop))
        answers = await asyncio.wait_for(
            asyncio.gather(*(outcome(row, "StartTransaction", START) for row in rows[1:])), 5
        )
        assert len(answers) == COUNT - 1
        assert not waiting.done()
    await waiting
    assert Transaction.objects.get(pk=number).meter_stop == 200
