"""StopTransaction: always answered, the first genuine values kept, nothing guessed where there is doubt."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chargepoints.models import MeterValue, OrphanStop, SecurityEvent, Transaction
from tests.charge_point import CallErrorReceived
from tests.ocpp16.asking import this_millisecond


def reload(number: int) -> Transaction:
    return Transaction.objects.get(pk=number)


async def test_closes_the_transaction(charge_point: Any) -> None:
    number = await charge_point.start(meter_start=100)
    assert await charge_point.stop(number, 5100, reason="EVDisconnected", idTag="TAG2") == {
        "idTagInfo": {"status": "Accepted"}
    }
    stopped = reload(number)
    assert (stopped.state, stopped.meter_stop, stopped.energy_delivered_wh) == ("stopped", 5100, 5000)
    assert (stopped.stop_reason, stopped.stop_id_tag) == ("EVDisconnected", "TAG2")
    assert stopped.stopped_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert not OrphanStop.objects.exists()


async def test_says_nothing_of_a_tag_that_was_not_given(charge_point: Any) -> None:
    assert await charge_point.stop(await charge_point.start()) == {}


async def test_keeps_the_first_values_of_a_repeated_stop(charge_point: Any) -> None:
    number = await charge_point.start()
    await charge_point.stop(number, 300, reason="Local")
    await charge_point.stop(number, 300, reason="Local")
    assert not OrphanStop.objects.exists()
    await charge_point.stop(number, 999, at="2026-01-01T12:00:00Z", reason="Remote")
    stopped = reload(number)
    assert (stopped.meter_stop, stopped.stop_reason) == (300, "Local")
    assert stopped.stopped_at == datetime(2026, 1, 1, 11, tzinfo=UTC)


async def test_keeps_a_differing_second_stop_beside_the_transaction(charge_point: Any) -> None:
    number = await charge_point.start()
    await charge_point.stop(number, 300)
    for _ in range(2):
        await charge_point.stop(number, 999)
    orphan = OrphanStop.objects.get()
    assert (orphan.matched_id, orphan.meter_stop) == (number, 999)
    assert reload(number).meter_stop == 300


@pytest.mark.parametrize("sent", [0, -1, 424242, 2**31, 2**40, -(2**40)])
async def test_answers_and_keeps_a_stop_of_an_unknown_id(charge_point: Any, row: Any, sent: int) -> None:
    assert await charge_point.stop(sent, 300, reason="Local") == {}
    orphan = OrphanStop.objects.get()
    assert (orphan.charge_point, orphan.transaction_id_sent, orphan.meter_stop) == (row, sent, 300)
    assert orphan.matched is None
    assert not Transaction.objects.exists()


async def test_keeps_a_repeated_orphan_once(charge_point: Any) -> None:
    for _ in range(3):
        await charge_point.stop(-1, 300)
    assert OrphanStop.objects.count() == 1


@pytest.mark.parametrize("tag", ["TAG", "tag", None])
async def test_matches_an_orphan_that_can_mean_only_one(charge_point: Any, tag: str | None) -> None:
    number = await charge_point.start(meter_start=100)
    more = {"idTag": tag} if tag else {}
    await charge_point.stop(-1, 300, **more)
    assert OrphanStop.objects.get().matched_id == number
    assert (reload(number).state, reload(number).meter_stop) == ("stopped", 300)


@pytest.mark.parametrize(
    "change",
    [
        {"idTag": "SOMEBODY"},
        {"meter_stop": 99},
        {"at": "2026-01-01T09:59:59Z"},
    ],
)
async def test_matches_no_orphan_that_cannot_mean_the_open_transaction(charge_point: Any, change: Any) -> None:
    number = await charge_point.start(meter_start=100)
    await charge_point.stop(0, **{"meter_stop": 300} | change)
    assert reload(number).state == "active"
    assert OrphanStop.objects.get().matched is None


async def test_matches_no_orphan_below_a_reading_of_the_open_transaction(charge_point: Any) -> None:
    number = await charge_point.start(meter_start=100)
    await charge_point.measure("500", "2026-01-01T10:10:00Z", transactionId=number)
    await charge_point.stop(-1, 300)
    assert reload(number).state == "active"


async def test_matches_no_orphan_that_can_mean_two(charge_point: Any) -> None:
    numbers = [await charge_point.start(connector_id=connector) for connector in (1, 2)]
    await charge_point.stop(-1, 300)
    assert [reload(number).state for number in numbers] == ["active", "active"]
    assert OrphanStop.objects.get().matched is None


async def test_matches_no_orphan_with_anothers_transaction(charge_point: Any, connect: Any) -> None:
    number = await charge_point.start()
    await (await connect()).stop(-1, 300)
    assert reload(number).state == "active"


async def test_lets_the_genuine_stop_supersede_one_that_was_only_matched(charge_point: Any) -> None:
    number = await charge_point.start(meter_start=100)
    await charge_point.stop(777, 90_000)  # of a session that began under another central system
    assert reload(number).state == "stopped"
    await charge_point.stop(number, 600, at="2026-01-01T13:00:00Z", reason="Local")
    stopped = reload(number)
    assert (stopped.state, stopped.energy_delivered_wh, stopped.stop_reason) == ("stopped", 500, "Local")
    assert OrphanStop.objects.get().matched is None
    await charge_point.stop(number, 70_000)
    assert reload(number).energy_delivered_wh == 500


async def test_leaves_the_transaction_of_another_charge_point_alone(charge_point: Any, connect: Any) -> None:
    number = await charge_point.start()
    stranger = await connect()
    data = [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"value": "9000"}]}]
    assert await stranger.stop(number, 9000, transactionData=data) == {}
    untouched = reload(number)
    assert (untouched.state, untouched.latest_meter_value) == ("active", None)
    event = SecurityEvent.objects.get()
    assert (event.charge_point.identity, event.type) == (stranger.identity, "ForeignTransaction")
    assert str(number) in event.technical_information
    assert not OrphanStop.objects.exists()
    assert not MeterValue.objects.exists()


async def test_stores_transaction_data_as_meter_values(charge_point: Any) -> None:
    number = await charge_point.start()
    data = [
        {
            "timestamp": "2026-01-01T10:00:00Z",
            "sampledValue": [{"value": "100", "context": "Transaction.Begin", "unit": "Wh"}],
        },
        {
            "timestamp": "2026-01-01T11:00:00Z",
            "sampledValue": [
                {"value": "0.9", "context": "Transaction.End", "unit": "kWh"},
                {"value": "OCMF|" + "x" * 2000, "format": "SignedData"},
            ],
        },
    ]
    await charge_point.stop(number, 900, transactionData=data)
    stored = MeterValue.objects.filter(transaction=number)
    assert [value.sampled_values for value in stored] == [entry["sampledValue"] for entry in data]
    assert {value.connector_id for value in stored} == {1}
    assert reload(number).latest_meter_value == 900


async def test_stores_repeated_transaction_data_once(charge_point: Any) -> None:
    number = await charge_point.start()
    data = [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"value": "150"}]}]
    for _ in range(2):
        await charge_point.stop(number, 900, transactionData=data)
    assert MeterValue.objects.count() == 1


BROKEN_DATA = [
    [],
    None,
    {},
    "none",
    [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": []}],
    [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"measurand": "Voltage"}]}],
    [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"value": None, "unit": None, "phase": None}]}],
    [{"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"value": "9E999999", "unit": "kWh"}]}],
    [{"timestamp": "2026-01-01T10:30:00Z"}],
    [{"sampledValue": [{"value": "1"}]}],
    [{"timestamp": 5, "sampledValue": [{"value": "1"}]}],
    [7],
]


@pytest.mark.parametrize("data", BROKEN_DATA)
async def test_stops_whatever_the_transaction_data_hold(charge_point: Any, data: Any) -> None:
    number = await charge_point.start()
    assert await charge_point.stop(number, 900, transactionData=data) == {}
    assert (reload(number).state, reload(number).meter_stop) == ("stopped", 900)


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "VendorReason"},
        {"reason": None},
        {"idTag": None},
        {"idTag": "T" * 40},
        {"idTag": ""},
        {"idTag": "TAG\x00\x00"},
        {"idTag": "T\x00G"},
        {"soc": 80},
    ],
)
async def test_stops_in_spite_of_what_can_be_repaired(charge_point: Any, change: Any) -> None:
    number = await charge_point.start()
    await charge_point.stop(number, 900, **change)
    assert reload(number).state == "stopped"


@pytest.mark.parametrize("timestamp", ["24:00:00", "", "0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z"])
async def test_dates_an_impossible_stop_by_its_arrival(charge_point: Any, timestamp: str) -> None:
    number = await charge_point.start()
    before = this_millisecond()
    await charge_point.stop(number, 900, at=timestamp)
    stopped = reload(number)
    assert stopped.stopped_at is not None
    assert before <= stopped.stopped_at <= datetime.now(UTC)


async def test_reckons_no_negative_energy_or_duration(charge_point: Any) -> None:
    number = await charge_point.start(meter_start=1000)
    await charge_point.stop(number, 10, at="2025-01-01T00:00:00Z")
    assert (reload(number).energy_delivered_wh, reload(number).duration_seconds) == (0, 0)
    assert reload(number).meter_stop == 10


async def test_no_longer_lists_a_stopped_transaction(api: Any, charge_point: Any) -> None:
    path = f"/api/v1/ocpp16/active_transactions/{charge_point.identity}"
    number = await charge_point.start()
    assert (await api.get(path)).json()["total"] == 1
    await charge_point.stop(number)
    assert (await api.get(path)).json()["total"] == 0


@pytest.mark.parametrize("missing", ["transactionId", "meterStop", "timestamp"])
async def test_refuses_a_stop_without_what_it_needs(charge_point: Any, missing: str) -> None:
    payload = {"transactionId": await charge_point.start(), "meterStop": 1, "timestamp": "2026-01-01T11:00:00Z"}
    del payload[missing]
    with pytest.raises(CallErrorReceived) as refused:
        await charge_point.call("StopTransaction", payload)
    assert refused.value.code == "OccurenceConstraintViolation"
    assert Transaction.objects.active().count() == 1
