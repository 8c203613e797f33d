"""StartTransaction: one row and one id for each session, whatever is repeated."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from apikeys import clock
from chargepoints.models import Connector, IdTag, Reservation, Transaction
from tests.charge_point import CallErrorReceived
from tests.ocpp16.asking import this_millisecond

START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
IMPOSSIBLE = ["2026-01-01T24:00:00Z", "24:00:00", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00Z", "", "yesterday"]


async def start(charge_point: Any, message_id: str | None = None, **changes: Any) -> Any:
    return await charge_point.call("StartTransaction", START | changes, message_id=message_id)


async def test_issues_an_id_and_stores_what_was_said(charge_point: Any, row: Any) -> None:
    answer = await start(charge_point)
    assert answer["idTagInfo"] == {"status": "Accepted"}
    transaction = Transaction.objects.get()
    assert answer["transactionId"] == transaction.pk
    assert (transaction.charge_point, transaction.connector_id, transaction.id_tag) == (row, 1, "TAG")
    assert (transaction.meter_start, transaction.state) == (100, "active")
    assert transaction.started_at == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert transaction.authorization_status == "Accepted"


async def test_issues_ids_that_cannot_be_guessed(charge_point: Any) -> None:
    numbers = [(await start(charge_point, meterStart=meter))["transactionId"] for meter in range(20)]
    assert len(set(numbers)) == 20
    assert all(1 <= number <= 2**31 - 1 for number in numbers)
    assert min(abs(a - b) for a, b in itertools.pairwise(numbers)) > 1
    assert max(numbers) > 2**24


async def test_answers_a_repeat_with_a_new_message_id_with_the_same_id(charge_point: Any) -> None:
    first = await start(charge_point, "1")
    assert await start(charge_point, "2") == first
    assert Transaction.objects.count() == 1


async def test_answers_a_repeat_with_the_same_message_id_with_the_same_id(charge_point: Any) -> None:
    first = await start(charge_point, "1")
    assert await start(charge_point, "1") == first
    assert Transaction.objects.count() == 1


@pytest.mark.parametrize("timestamp", ["2026-01-01T10:00:00Z", *IMPOSSIBLE])
async def test_answers_a_repeat_on_a_new_socket_with_the_same_id(
    connect: Any, charge_point: Any, row: Any, timestamp: str
) -> None:
    first = await start(charge_point, "1", timestamp=timestamp)
    await charge_point.close()
    again = await connect(row)
    assert await start(again, "1", timestamp=timestamp) == first
    assert Transaction.objects.count() == 1


async def test_recognizes_a_repeat_that_writes_tag_and_time_otherwise(charge_point: Any) -> None:
    first = await start(charge_point)
    for changes in ({"idTag": "tag"}, {"timestamp": "2026-01-01T11:00:00+01:00"}, {"timestamp": "2026-01-01T10:00:00"}):
        assert await start(charge_point, **changes) == first
    assert Transaction.objects.count() == 1


async def test_answers_a_repeat_after_the_stop_with_the_same_id(charge_point: Any) -> None:
    first = await start(charge_point)
    await charge_point.stop(first["transactionId"], 500)
    assert await start(charge_point) == first
    assert Transaction.objects.get().state == "stopped"


@pytest.mark.parametrize(
    "change", [{"connectorId": 2}, {"idTag": "OTHER"}, {"meterStart": 101}, {"timestamp": "2026-01-01T10:00:01Z"}]
)
async def test_opens_another_transaction_for_another_start(charge_point: Any, change: Any) -> None:
    first = await start(charge_point)
    assert (await start(charge_point, **change))["transactionId"] != first["transactionId"]
    assert Transaction.objects.count() == 2


async def test_opens_a_transaction_for_the_same_start_of_another_charge_point(charge_point: Any, connect: Any) -> None:
    first = await start(charge_point)
    assert (await start(await connect()))["transactionId"] != first["transactionId"]
    assert Transaction.objects.active().count() == 2


@pytest.mark.parametrize("timestamp", IMPOSSIBLE)
async def test_dates_an_impossible_time_by_its_arrival(charge_point: Any, finding: Any, timestamp: str) -> None:
    before = this_millisecond()
    await start(charge_point, timestamp=timestamp)
    assert before <= Transaction.objects.get().started_at <= datetime.now(UTC)
    assert "impossible" in (await finding("StartTransaction.timestamp")).detail


async def test_keeps_the_sessions_of_a_charge_point_without_a_clock_apart(charge_point: Any) -> None:
    first = (await start(charge_point, timestamp="0000-00-00T00:00:00Z"))["transactionId"]
    await charge_point.stop(first, 900, at="0000-00-00T00:00:00Z")
    second = (await start(charge_point, timestamp="0000-00-00T00:00:00Z"))["transactionId"]
    assert second != first
    assert (await start(charge_point, timestamp="0000-00-00T00:00:00Z"))["transactionId"] == second
    await charge_point.stop(second, 400, at="0000-00-00T00:00:00Z")
    assert [Transaction.objects.get(pk=pk).energy_delivered_wh for pk in (first, second)] == [800, 300]


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("2026-01-01T10:00:00", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("2026-01-01T10:00:00+02", datetime(2026, 1, 1, 8, tzinfo=UTC)),
        ("1970-01-01T00:00:12Z", datetime(1970, 1, 1, 0, 0, 12, tzinfo=UTC)),
        ("2026-01-01T10:00:00.1234567Z", datetime(2026, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)),
    ],
)
async def test_reads_odd_times(charge_point: Any, timestamp: str, moment: datetime) -> None:
    received_after = clock.look().time  # SQLite tells milliseconds, and a start may take less than one
    await start(charge_point, timestamp=timestamp)
    transaction = Transaction.objects.get()
    assert transaction.started_at == moment
    assert transaction.start_received_at >= received_after


@pytest.mark.parametrize("status", ["Blocked", "Expired", "Invalid"])
async def test_issues_an_id_though_the_tag_is_refused(charge_point: Any, organization: Any, status: str) -> None:
    organization.accept_unknown_id_tags = False
    organization.save()
    if status != "Invalid":
        expires_at = datetime(2020, 1, 1, tzinfo=UTC) if status == "Expired" else None
        state = "Blocked" if status == "Blocked" else "Accepted"
        IdTag.objects.create(organization=organization, id_tag="TAG", status=state, expires_at=expires_at)
    answer = await start(charge_point)
    assert answer["idTagInfo"]["status"] == status
    assert Transaction.objects.get(pk=answer["transactionId"]).authorization_status == status


async def test_refuses_a_listed_tag_that_charges_elsewhere(charge_point: Any, connect: Any, organization: Any) -> None:
    IdTag.objects.create(organization=organization, id_tag="Tag")
    assert (await start(charge_point))["idTagInfo"]["status"] == "Accepted"
    assert (await start(charge_point, connectorId=2))["idTagInfo"]["status"] == "ConcurrentTx"
    assert (await start(await connect()))["idTagInfo"]["status"] == "ConcurrentTx"


@pytest.mark.parametrize("is_listed", [True, False])
async def test_lets_other_tags_charge_on_several_connectors(
    charge_point: Any, organization: Any, is_listed: bool
) -> None:
    if is_listed:
        IdTag.objects.create(organization=organization, id_tag="TAG", allow_concurrent=True)
    await start(charge_point)
    assert (await start(charge_point, connectorId=2))["idTagInfo"]["status"] == "Accepted"


async def test_answers_the_repeat_of_an_accepted_start_as_accepted(
    charge_point: Any, connect: Any, organization: Any, row: Any
) -> None:
    IdTag.objects.create(organization=organization, id_tag="TAG")
    first = await start(charge_point)
    await start(charge_point, connectorId=2)
    await charge_point.close()
    assert await start(await connect(row)) == first


async def test_closes_the_open_transaction_at_its_last_reading(charge_point: Any) -> None:
    first = await charge_point.start(meter_start=100)
    await charge_point.measure("700", "2026-01-01T10:30:00Z", transactionId=first)
    second = await charge_point.start(meter_start=900, at="2026-01-01T12:00:00Z")
    closed, opened = Transaction.objects.get(pk=first), Transaction.objects.get(pk=second)
    assert (closed.state, closed.meter_stop, closed.energy_delivered_wh) == ("inferred", 700, 600)
    assert closed.stopped_at == datetime(2026, 1, 1, 10, 30, tzinfo=UTC)
    assert opened.state == "active"


async def test_invents_no_energy_for_a_transaction_without_readings(charge_point: Any) -> None:
    first = await charge_point.start(meter_start=100)
    await charge_point.start(meter_start=900, at="2026-01-01T12:00:00Z")
    closed = Transaction.objects.get(pk=first)
    assert (closed.state, closed.energy_delivered_wh, closed.duration_seconds) == ("inferred", 0, 0)


async def test_lets_a_late_genuine_stop_supersede_the_inference(charge_point: Any) -> None:
    first = await charge_point.start(meter_start=100)
    second = await charge_point.start(meter_start=900, at="2026-01-01T12:00:00Z")
    await charge_point.stop(first, 850, reason="PowerLoss")
    closed = Transaction.objects.get(pk=first)
    assert (closed.state, closed.meter_stop, closed.stop_reason) == ("stopped", 850, "PowerLoss")
    assert closed.stopped_at == datetime(2026, 1, 1, 11, tzinfo=UTC)
    assert Transaction.objects.get(pk=second).state == "active"


async def test_moves_an_inferred_stop_to_a_reading_that_comes_late(charge_point: Any) -> None:
    first = await charge_point.start(meter_start=100)
    await charge_point.start(meter_start=900, at="2026-01-01T12:00:00Z")
    await charge_point.measure("840", "2026-01-01T10:50:00Z", transactionId=first)
    closed = Transaction.objects.get(pk=first)
    assert (closed.state, closed.energy_delivered_wh) == ("inferred", 740)
    assert closed.stopped_at == datetime(2026, 1, 1, 10, 50, tzinfo=UTC)


async def test_leaves_other_connectors_alone(charge_point: Any) -> None:
    first = await charge_point.start(connector_id=1)
    await charge_point.start(connector_id=2)
    assert Transaction.objects.get(pk=first).state == "active"


async def test_leaves_the_status_of_the_connector_to_status_notifications(charge_point: Any, row: Any) -> None:
    await charge_point.start()
    assert Connector.objects.get(charge_point=row, connector_id=1).status == "Available"


async def test_ends_the_reservation_that_it_uses(charge_point: Any, row: Any) -> None:
    for number in (7, 8):
        Reservation.objects.reserve(
            row, number, connector_id=1, id_tag="TAG", parent_id_tag="", expires_at=datetime(2999, 1, 1, tzinfo=UTC)
        )
    await start(charge_point, reservationId=7)
    assert Transaction.objects.get().reservation_id == 7
    assert [Reservation.objects.get(reservation_id=number).state for number in (7, 8)] == ["used", "active"]


@pytest.mark.parametrize("number", [2**31, 2**40, -(2**33), 2**70])
async def test_starts_though_the_reservation_is_no_possible_number(
    charge_point: Any, finding: Any, number: int
) -> None:
    assert (await start(charge_point, reservationId=number))["transactionId"] > 0
    assert Transaction.objects.get().reservation_id is None
    assert await finding("StartTransaction.reservationId")


@pytest.mark.parametrize("meter", [-5, 0, 2**31, 2**40])
async def test_stores_any_meter_reading(charge_point: Any, meter: int) -> None:
    await start(charge_point, meterStart=meter)
    assert Transaction.objects.get().meter_start == meter


async def test_takes_vendor_members_nulls_and_long_tags(charge_point: Any, finding: Any) -> None:
    answer = await start(charge_point, idTag="T" * 30, reservationId=None, soc=55)
    assert Transaction.objects.get(pk=answer["transactionId"]).id_tag == "T" * 20
    assert await finding("StartTransaction.idTag")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"connectorId": "1"}, "TypeConstraintViolation"),
        ({"connectorId": -1}, "PropertyConstraintViolation"),
        ({"meterStart": True}, "TypeConstraintViolation"),
        ({"idTag": "A\x00B"}, "PropertyConstraintViolation"),
        ({"meterStart": 2**63}, "PropertyConstraintViolation"),
    ],
)
async def test_refuses_what_has_no_meaning(charge_point: Any, change: Any, code: str) -> None:
    with pytest.raises(CallErrorReceived) as refused:
        await start(charge_point, **change)
    assert refused.value.code == code
    assert not Transaction.objects.exists()


async def test_answers_duplicates_on_several_sockets_at_once_with_one_id(connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    for _ in range(5):
        # Each replaces the one before; what that had sent counts all the same, answered or not.
        newest = await connect(row)
        for number in range(4):
            await newest.send([2, f"d{number}", "StartTransaction", START])
    answers = [await newest.frame() for _ in range(4)]
    assert {frame[0] for frame in answers} == {3}
    assert len({frame[2]["transactionId"] for frame in answers}) == 1
    assert Transaction.objects.get().pk == answers[0][2]["transactionId"]


async def test_answers_pipelined_calls_in_their_order(charge_point: Any) -> None:
    for number in range(10):
        await charge_point.send([2, f"p{number}", "StartTransaction", START | {"meterStart": number}])
    frames = [await charge_point.frame() for _ in range(10)]
    assert [frame[1] for frame in frames] == [f"p{number}" for number in range(10)]
    assert await asyncio.to_thread(Transaction.objects.active().count) == 1
    assert Transaction.objects.active().get().meter_start == 9
