"""The same thing told by several workers at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from chargepoints.models import ChargePoint, ConnectorStatus, IdTag, MeterValue, Transaction
from tests.ocpp16.asking import handled

pytestmark = pytest.mark.django_db(transaction=True)
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
THREADS = 8


def at_once(work: list[Callable[[], Any]]) -> list[Any]:
    """The results of all, each in a thread, as many at a time as there are threads; raises what any raises."""
    barrier = Barrier(THREADS)

    def run(item: tuple[int, Callable[[], Any]]) -> Any:
        position, function = item
        try:
            if position < THREADS:
                barrier.wait(10)
            return function()
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, enumerate(work)))


def say(row: ChargePoint, action: str, payload: dict[str, Any]) -> Callable[[], Any]:
    return lambda: handled(row, action, payload)


def test_starts_one_transaction_for_a_hundred_duplicates(make_charge_point: Any) -> None:
    row = make_charge_point()
    answers = at_once([say(row, "StartTransaction", START)] * 100)
    assert len({answer["transactionId"] for answer in answers}) == 1
    assert Transaction.objects.count() == 1


def test_leaves_one_active_transaction_of_many_starts_on_a_connector(make_charge_point: Any) -> None:
    row = make_charge_point()
    starts = [say(row, "StartTransaction", START | {"meterStart": meter}) for meter in range(24)]
    numbers = {answer["transactionId"] for answer in at_once(starts)}
    assert len(numbers) == 24
    assert Transaction.objects.active().count() == 1
    assert set(Transaction.objects.values_list("pk", flat=True)) == numbers


def test_starts_on_many_charge_points_at_once(make_charge_point: Any) -> None:
    rows = [make_charge_point() for _ in range(24)]
    at_once([say(row, "StartTransaction", START) for row in rows])
    assert Transaction.objects.active().count() == 24


def test_accepts_a_listed_tag_once_that_starts_everywhere_at_once(make_charge_point: Any, organization: Any) -> None:
    IdTag.objects.create(organization=organization, id_tag="TAG")
    answers = at_once([say(make_charge_point(), "StartTransaction", START) for _ in range(16)])
    statuses = [answer["idTagInfo"]["status"] for answer in answers]
    assert sorted(statuses) == ["Accepted"] + ["ConcurrentTx"] * 15


def test_takes_the_first_statuses_of_a_charge_point_at_once(make_charge_point: Any) -> None:
    row = make_charge_point()
    statuses = [
        {"connectorId": number % 4, "status": "Available", "errorCode": "NoError", "info": str(number)}
        for number in range(32)
    ]
    at_once([say(row, "StatusNotification", status) for status in statuses])
    assert row.connectors.count() == 4
    assert ConnectorStatus.objects.count() == 32


def test_stores_the_first_of_two_stops(make_charge_point: Any) -> None:
    row = make_charge_point()
    number = say(row, "StartTransaction", START)()["transactionId"]
    stops = [
        {"transactionId": number, "meterStop": 200 + position, "timestamp": "2026-01-01T11:00:00Z"}
        for position in range(16)
    ]
    at_once([say(row, "StopTransaction", stop) for stop in stops])
    stopped = Transaction.objects.get()
    assert stopped.state == "stopped"
    others = {orphan.meter_stop for orphan in row.orphan_stops.all()}
    assert others | {stopped.meter_stop} == set(range(200, 216))
    assert len(others) == 15


def test_stores_readings_once_and_keeps_the_newest(make_charge_point: Any) -> None:
    row = make_charge_point()
    number = say(row, "StartTransaction", START)()["transactionId"]
    began = datetime(2026, 1, 1, 10, tzinfo=UTC)
    readings = [
        {
            "connectorId": 1,
            "transactionId": number,
            "meterValue": [
                {
                    "timestamp": (began + timedelta(minutes=minute)).isoformat(),
                    "sampledValue": [{"value": str(100 + minute)}],
                }
            ],
        }
        for minute in range(1, 21)
    ]
    at_once([say(row, "MeterValues", reading) for reading in [*readings, *reversed(readings)]])
    assert MeterValue.objects.count() == 20
    assert Transaction.objects.get().latest_meter_value == 120
