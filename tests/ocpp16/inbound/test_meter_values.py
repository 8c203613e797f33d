"""MeterValues: every sample kept as it came, once, and the energy register read whatever its form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargepoints.models import MeterValue, Transaction
from tests.ocpp16.asking import this_millisecond

REGISTER = "Energy.Active.Import.Register"
AT = "2026-01-01T10:10:00Z"


def phases(*values: str, unit: str = "kWh", context: str = "Sample.Periodic") -> list[dict[str, str]]:
    names = ("L1", "L2", "L3")
    return [
        {"value": value, "phase": phase, "unit": unit, "measurand": REGISTER, "context": context}
        for value, phase in zip(values, names, strict=False)
    ]


async def measure(charge_point: Any, samples: Any, at: str = AT, **more: Any) -> Any:
    reading = {"timestamp": at, "sampledValue": samples}
    return await charge_point.call("MeterValues", {"connectorId": 1, "meterValue": [reading], **more})


def latest() -> int | None:
    return Transaction.objects.get().latest_meter_value


@pytest.mark.parametrize(
    ("samples", "energy"),
    [
        ([{"value": "1500"}], 1500),
        ([{"value": "1500", "measurand": REGISTER}], 1500),
        ([{"value": "1.5", "unit": "kWh"}], 1500),
        ([{"value": "1500.7", "unit": "Wh"}], 1500),
        ([{"value": 1500}], 1500),
        ([{"value": 1.5, "unit": "kWh"}], 1500),
        (phases("0.5", "0.5", "0.25"), 1250),
        ([{"value": "1300", "measurand": REGISTER}, *phases("0.5", "0.5", "0.25")], 1300),
        ([*phases("0.5", "0.5", "0.25"), {"value": "1300", "measurand": REGISTER}], 1300),
        (
            [
                *phases("0.1", "0.1", "0.1", context="Transaction.Begin"),
                *phases("0.5", "0.5", "0.5", context="Transaction.End"),
            ],
            1500,
        ),
        ([*phases("0.5", "0.5"), {"value": "9f", "format": "SignedData", "phase": "L1", "measurand": REGISTER}], 1000),
        ([{"value": "300", "phase": "L1"}, {"value": "310", "phase": "L1-N"}], 310),
        ([{"value": "100", "context": "Transaction.Begin"}, {"value": "900", "context": "Transaction.End"}], 900),
        ([{"value": "900", "context": "Sample.Clock"}], 900),
        ([{"value": str(2**33)}], 2**33),
        ([{"value": "77", "measurand": "Energy.Active.Export.Register"}], None),
        ([{"value": "16.0", "measurand": "Current.Import", "unit": "A", "phase": "L1"}], None),
        ([{"value": "x" * 2000, "format": "SignedData", "measurand": REGISTER}], None),
        ([{"value": "900"}, {"value": "x" * 2000, "format": "SignedData", "measurand": REGISTER}], 900),
        ([{"value": "900", "unit": None, "phase": None, "location": None, "context": None}], 900),
        ([{"value": "900", "location": "Outlet"}, {"value": "905", "location": "Inlet"}], 900),
        ([{"value": "41", "measurand": "Temperature", "unit": "Celcius"}], None),
        ([{"value": "41", "measurand": "Vendor.Special", "unit": "furlong", "phase": "L9"}], None),
        ([{"value": "much"}], None),
        ([{"value": "9E999999", "unit": "kWh"}], None),
        ([], None),
    ],
)
async def test_reads_the_energy_register(charge_point: Any, samples: Any, energy: int | None) -> None:
    number = await charge_point.start(meter_start=0)
    assert await measure(charge_point, samples, transactionId=number) == {}
    assert latest() == energy
    stored = MeterValue.objects.get()
    assert stored.transaction_id == number
    assert len(stored.sampled_values) == len(samples)


async def test_adds_up_phases_that_come_one_by_one(charge_point: Any) -> None:
    number = await charge_point.start(meter_start=0)
    readings = [
        {"timestamp": f"2026-01-01T10:{minute}:00Z", "sampledValue": [sample]}
        for minute in (10, 20)
        for sample in phases("0.5", "0.5", f"0.{minute}")
    ]
    await charge_point.call("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": readings})
    assert latest() == 1200
    assert MeterValue.objects.count() == 6


async def test_stores_every_sample_as_it_came(charge_point: Any) -> None:
    samples = [
        {"value": "230.1", "measurand": "Voltage", "phase": "L1-N", "unit": "V", "context": "Sample.Clock"},
        {"value": "55", "measurand": "SoC", "unit": "Percent", "location": "EV"},
        {"value": "21", "measurand": "Temperature", "unit": "Celcius"},
        {"value": "1", "measurand": "Vendor.Thing", "phase": "L7"},
    ]
    assert await measure(charge_point, samples) == {}
    assert MeterValue.objects.get().sampled_values == samples


async def test_stores_what_is_repeated_once(charge_point: Any) -> None:
    number = await charge_point.start()
    for _ in range(3):
        await charge_point.measure("500", AT, transactionId=number)
    assert MeterValue.objects.count() == 1


async def test_stores_a_repeat_once_though_its_transaction_has_ended(charge_point: Any) -> None:
    number = await charge_point.start()
    await charge_point.measure("500", AT)
    await charge_point.stop(number)
    await charge_point.measure("500", AT)
    assert MeterValue.objects.get().transaction_id == number


async def test_stores_a_reading_once_that_the_stop_repeats(charge_point: Any) -> None:
    number = await charge_point.start()
    await charge_point.measure("500", AT, transactionId=number)
    sample = {"value": "500", "measurand": REGISTER, "unit": "Wh"}
    await charge_point.stop(number, 500, transactionData=[{"timestamp": AT, "sampledValue": [sample]}])
    assert MeterValue.objects.count() == 1


async def test_stores_a_repeated_bulk_once(charge_point: Any) -> None:
    number = await charge_point.start()
    readings = [
        {"timestamp": f"2026-01-01T10:{minute:02}:00Z", "sampledValue": [{"value": str(100 + minute)}]}
        for minute in range(60)
    ]
    payload = {"connectorId": 1, "transactionId": number, "meterValue": readings}
    for _ in range(2):
        await charge_point.call("MeterValues", payload)
    assert MeterValue.objects.count() == 60
    assert latest() == 159


async def test_keeps_the_newest_reading_when_they_come_out_of_order(charge_point: Any) -> None:
    number = await charge_point.start()
    for minute, value in ((20, "900"), (10, "500"), (15, "700")):
        await charge_point.measure(value, f"2026-01-01T10:{minute}:00Z", transactionId=number)
    assert latest() == 900
    assert MeterValue.objects.filter(transaction=number).count() == 3


async def test_lets_no_reading_of_the_future_hide_those_that_follow(charge_point: Any, finding: Any) -> None:
    number = await charge_point.start()
    before = this_millisecond()
    await charge_point.measure("500", "2099-01-01T00:00:00Z", transactionId=number)
    assert await finding("MeterValues.timestamp")
    stored = Transaction.objects.get()
    assert stored.latest_meter_at is not None
    assert before <= stored.latest_meter_at <= datetime.now(UTC)
    await charge_point.measure("700", datetime.now(UTC).isoformat(), transactionId=number)
    assert latest() == 700
    assert [value.timestamp.year for value in MeterValue.objects.all()][-1] == 2099


async def test_takes_the_time_of_a_clock_that_is_a_little_ahead(charge_point: Any) -> None:
    number = await charge_point.start()
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    await charge_point.measure("500", ahead.isoformat(), transactionId=number)
    assert Transaction.objects.get().latest_meter_at == ahead


@pytest.mark.parametrize("more", [{}, {"transactionId": 0}, {"transactionId": -1}, {"transactionId": None}])
async def test_gives_a_reading_that_names_no_transaction_to_the_active_one(charge_point: Any, more: Any) -> None:
    number = await charge_point.start()
    await charge_point.start(connector_id=2)
    await charge_point.measure("500", AT, **more)
    assert Transaction.objects.get(pk=number).latest_meter_value == 500
    assert Transaction.objects.exclude(pk=number).get().latest_meter_value is None


async def test_gives_no_reading_of_connector_0_to_a_transaction(charge_point: Any) -> None:
    await charge_point.start()
    await charge_point.measure("500", AT, connector_id=0)
    assert MeterValue.objects.get().transaction is None
    assert latest() is None


async def test_stores_readings_outside_transactions(charge_point: Any, row: Any) -> None:
    await charge_point.measure("500", AT)
    stored = MeterValue.objects.get()
    assert (stored.charge_point, stored.connector_id, stored.transaction) == (row, 1, None)


async def test_stores_readings_after_the_stop_and_leaves_its_values(charge_point: Any) -> None:
    number = await charge_point.start()
    await charge_point.stop(number, 800)
    await charge_point.measure("950", "2026-01-01T11:30:00Z", transactionId=number)
    assert MeterValue.objects.get().transaction_id == number
    assert Transaction.objects.get().current_meter_value == 800


async def test_gives_no_reading_to_anothers_transaction(charge_point: Any, connect: Any) -> None:
    number = await charge_point.start()
    await (await connect()).measure("9000", AT, transactionId=number)
    assert latest() is None
    assert MeterValue.objects.get().transaction is None


async def test_stores_readings_of_an_unknown_transaction(charge_point: Any, finding: Any) -> None:
    await charge_point.measure("500", AT, transactionId=424242)
    assert MeterValue.objects.get().transaction is None
    assert await finding("MeterValues.transactionId")


@pytest.mark.parametrize("number", [2**31, 2**40, 2**70, -(2**40)])
async def test_stores_readings_of_an_impossible_transaction(charge_point: Any, number: int) -> None:
    assert await charge_point.measure("500", AT, transactionId=number) == {}
    assert MeterValue.objects.get().transaction is None


async def test_shows_the_newest_reading_in_the_api(api: Any, charge_point: Any) -> None:
    number = await charge_point.start(meter_start=10_500)
    await measure(charge_point, [{"value": "11.25", "unit": "kWh"}], transactionId=number)
    body = (await api.get(f"/api/v1/ocpp16/active_transactions/{charge_point.identity}")).json()
    shown = body["active_transactions"][0]
    assert (shown["current_meter_value"], shown["energy_delivered_wh"]) == (11_250, 750)


async def test_reckons_no_negative_energy(charge_point: Any) -> None:
    number = await charge_point.start(meter_start=1000)
    await charge_point.measure("5", AT, transactionId=number)
    assert Transaction.objects.get().energy_delivered_wh == 0


@pytest.mark.parametrize(
    "reading",
    [
        {"timestamp": AT, "sampledValue": [{"value": "500"}, {"measurand": "Voltage"}]},
        {"timestamp": "24:00:00", "sampledValue": [{"value": "500"}]},
        {"sampledValue": [{"value": "500"}]},
        {"timestamp": AT, "sampledValue": [{"value": "500", "vendor": 1}], "extra": {}},
    ],
)
async def test_keeps_what_can_be_read_of_a_broken_message(charge_point: Any, reading: Any) -> None:
    number = await charge_point.start()
    payload = {"connectorId": 1, "transactionId": number, "meterValue": [reading]}
    assert await charge_point.call("MeterValues", payload) == {}
    assert latest() == 500
