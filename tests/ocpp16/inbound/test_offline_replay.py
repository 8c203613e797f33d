"""What a charge point kept while it was offline, told in bursts when it is back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chargepoints.models import ConnectorStatus, MeterValue, Transaction


async def burst(charge_point: Any, calls: list[tuple[str, Any]]) -> list[Any]:
    """Send CALLs without waiting, as some do 2 ms apart; returns the payloads of their answers."""
    for number, (action, payload) in enumerate(calls):
        await charge_point.send([2, f"r{number}", action, payload])
    frames = [await charge_point.frame() for _ in calls]
    assert [(frame[0], frame[1]) for frame in frames] == [(3, f"r{number}") for number in range(len(calls))]
    return [frame[2] for frame in frames]


def status(name: str, minute: int) -> tuple[str, Any]:
    timestamp = f"2026-01-01T10:{minute:02}:00Z"
    return "StatusNotification", {"connectorId": 1, "status": name, "errorCode": "NoError", "timestamp": timestamp}


START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:01:00Z"}
STOP = {"meterStop": 4100, "timestamp": "2026-01-01T10:40:00Z", "idTag": "TAG"}


async def test_takes_old_statuses_before_the_session_that_they_are_of(charge_point: Any, row: Any) -> None:
    names = ("Preparing", "Charging", "Finishing", "Available")
    answers = await burst(
        charge_point, [*(status(name, minute) for minute, name in enumerate(names)), ("StartTransaction", START)]
    )
    number = answers[-1]["transactionId"]
    await burst(charge_point, [("StopTransaction", STOP | {"transactionId": number})])
    assert row.connectors.get(connector_id=1).status == "Available"
    history = ConnectorStatus.objects.filter(charge_point=row, timestamp__year=2026, timestamp__month=1)
    assert [entry.status for entry in history.order_by("id")] == list(names)
    transaction = Transaction.objects.get()
    assert (transaction.state, transaction.energy_delivered_wh, transaction.duration_seconds) == ("stopped", 4000, 2340)
    assert transaction.start_received_at > datetime(2026, 1, 2, tzinfo=UTC)


async def test_takes_days_of_sessions_in_their_order(charge_point: Any) -> None:
    numbers = []
    for day in range(1, 11):
        start = START | {"timestamp": f"2026-01-{day:02}T10:00:00Z", "meterStart": day * 1000}
        numbers.append((await burst(charge_point, [("StartTransaction", start)]))[0]["transactionId"])
        reading = {"timestamp": f"2026-01-{day:02}T10:30:00Z", "sampledValue": [{"value": str(day * 1000 + 250)}]}
        readings = {"connectorId": 1, "transactionId": numbers[-1], "meterValue": [reading]}
        stop = {"meterStop": day * 1000 + 500, "timestamp": f"2026-01-{day:02}T11:00:00Z"}
        await burst(
            charge_point, [("MeterValues", readings), ("StopTransaction", stop | {"transactionId": numbers[-1]})]
        )
    stored = Transaction.objects.order_by("started_at")
    assert [transaction.pk for transaction in stored] == numbers
    assert {transaction.energy_delivered_wh for transaction in stored} == {500}
    assert {transaction.state for transaction in stored} == {"stopped"}
    assert MeterValue.objects.count() == 10


async def test_takes_the_same_replay_twice_as_one(connect: Any, charge_point: Any, row: Any) -> None:
    first = await burst(charge_point, [("StartTransaction", START)])
    stop = ("StopTransaction", STOP | {"transactionId": first[0]["transactionId"]})
    answers = await burst(charge_point, [stop])
    await charge_point.close()
    again = await connect(row)
    assert await burst(again, [("StartTransaction", START), stop]) == [*first, *answers]
    assert Transaction.objects.get().meter_stop == 4100


async def test_matches_a_replayed_session_that_never_knew_its_id(charge_point: Any) -> None:
    answers = await burst(
        charge_point, [("StartTransaction", START), ("StopTransaction", STOP | {"transactionId": -1})]
    )
    transaction = Transaction.objects.get(pk=answers[0]["transactionId"])
    assert (transaction.state, transaction.meter_stop) == ("stopped", 4100)


async def test_carries_a_session_over_a_reconnect_without_a_boot(connect: Any, charge_point: Any, row: Any) -> None:
    number = await charge_point.start(meter_start=100)
    await charge_point.close()
    again = await connect(row)
    await again.measure("600", "2026-01-01T10:20:00Z", transactionId=number)
    assert Transaction.objects.get().energy_delivered_wh == 500
    await again.stop(number, 1100)
    assert Transaction.objects.get().energy_delivered_wh == 1000
