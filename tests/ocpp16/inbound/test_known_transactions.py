"""Whose a transaction is, is asked once; what is known of it gives no reading to another, and loses none."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from chargepoints.models import ChargePoint, MeterValue, Transaction
from chargepoints.models.measured import Measurable, MeasuredQuerySet
from ocpp16 import handlers, meter_values
from ocpp16.meter_values import known_transactions
from tests.events import data_of
from tests.ocpp16.asking import handled

pytestmark = pytest.mark.django_db(transaction=True)

START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}


@pytest.fixture
def row(make_charge_point: Any) -> ChargePoint:
    return make_charge_point()


@pytest.fixture
def number(row: ChargePoint) -> int:
    """Of a transaction that has been measured."""
    number = handled(row, "StartTransaction", START)["transactionId"]
    measure(row, number, 110)
    return number


@pytest.fixture
def asked(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Collection[int]]]:
    """The numbers that the database was asked for, message by message, since that was measured."""
    asked: list[Collection[int]] = []
    find = MeasuredQuerySet.named

    def named(rows: Any, numbers: Collection[int]) -> list[Measurable]:
        asked.append(numbers)
        return find(rows, numbers)

    monkeypatch.setattr(MeasuredQuerySet, "named", named)
    yield asked
    known_transactions.forget()


def measure(row: ChargePoint, number: int, energy: int) -> MeterValue:
    """What is stored of a reading, a minute after the one before."""
    at = f"2026-01-01T10:{energy % 100:02}:00Z"
    reading = {"timestamp": at, "sampledValue": [{"value": str(energy)}]}
    handled(row, "MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [reading]})
    return MeterValue.objects.latest("pk")


def test_asks_once(row: ChargePoint, number: int, asked: Any) -> None:
    for energy in (120, 121, 122):
        assert measure(row, number, energy).transaction_id == number
    assert asked == [set()] * 3
    assert Transaction.objects.get().latest_meter_value == 122


def test_knows_it_of_its_own_charge_point_only(
    row: ChargePoint, number: int, asked: Any, make_charge_point: Any
) -> None:
    assert measure(make_charge_point(), number, 9000).transaction is None
    assert asked == [{number}]
    assert measure(row, number, 120).transaction_id == number
    assert Transaction.objects.get().latest_meter_value == 120


def test_asks_again_after_a_failure(row: ChargePoint, number: int, asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(received: Any) -> Any:
        raise IntegrityError

    with monkeypatch.context() as broken:
        broken.setitem(handlers.HANDLERS, "Authorize", fail)
        with pytest.raises(IntegrityError):
            handled(row, "Authorize", {"idTag": "TAG"})
    measure(row, number, 120)
    assert asked == [{number}]


def test_knows_no_more_than_it_may(row: ChargePoint, number: int, asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_values, "MAXIMUM_KNOWN", 0)
    measure(row, 424242, 120)  # nothing is learned of one that there is not
    measure(row, number, 121)
    assert asked == [{424242}, {number}]


async def test_tells_no_sooner_where_another_process_has_told(row: ChargePoint, number: int, asked: Any) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    known_transactions.learn([Measurable(number, row.pk, 1, long_ago)])
    measure(row, number, 120)
    assert await told(row) == [110]
    Transaction.objects.update(told_at=long_ago)
    for energy in (121, 122):
        measure(row, number, energy)
    assert await told(row) == [110, 121]
    assert asked == [set()] * 3


async def told(row: ChargePoint) -> list[int]:
    """The readings that were told of."""
    return [data["current_meter_value"] for data in await data_of(row, "session.updated")]


async def test_stores_readings_of_one_that_was_deleted(charge_point: Any) -> None:
    number = await charge_point.start()
    await charge_point.measure("110", "2026-01-01T10:10:00Z", transactionId=number)
    Transaction.objects.all().delete()
    assert await charge_point.measure("120", "2026-01-01T10:20:00Z", transactionId=number) == {}
    assert MeterValue.objects.get().transaction is None
