"""What sockets note in passing: written together, kept through a failing database, bounded in a flood."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest
from django.db import DataError, InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from chargepoints.models import ChargePoint, ConformanceFinding
from chargepoints.models.lease import LeaseQuerySet, Sockets
from ocpp16 import journal as journals
from ocpp16.exchange import Exchange
from ocpp16.journal import Entry, Journal, Notes
from ocpp16.models import Message, RefusedConnection
from tests.conftest import blocked

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def charge_point(make_charge_point: Callable[..., Any]) -> Any:
    return make_charge_point()


def refuse(
    journal: Journal, identity: str = "X", address: str = "10.0.0.1", reason: str = "unknown", **more: str
) -> None:
    fields = {"path": f"/ocpp16/{identity}", "protocols": "ocpp1.6"} | more
    journal.refusal(identity=identity, address=address, reason=reason, **fields)


def store(*rows: ChargePoint) -> None:
    """Log a message of each at once."""
    notes, now = Notes(), timezone.now()
    notes.messages.extend(Entry(row.pk, "in", 2, "1", "Heartbeat", "[]", now) for row in rows)
    notes.store()


def break_database(monkeypatch: pytest.MonkeyPatch, name: str, error: type[Exception] = OperationalError) -> None:
    def fail(notes: Notes) -> None:
        raise error("the database is down")

    monkeypatch.setattr(Notes, name, fail)


async def test_writes_messages_in_their_order(journal: Journal, charge_point: Any) -> None:
    for number in range(1200):
        journal.message(charge_point.pk, "in", 2, f"[{number}]", message_id=str(number), action="Heartbeat")
    await journal.flush()
    frames = list(Message.objects.order_by("id").values_list("frame", flat=True))
    assert frames == [f"[{number}]" for number in range(1200)]


async def test_writes_every_column_as_it_was_noted(journal: Journal, charge_point: Any) -> None:
    text, at = '["\\n", "\ttab", "back\\slash", "ü", "€"]\n', timezone.now()
    received = (charge_point.pk, Message.Direction.RECEIVED, Message.Kind.CALL, "19223201", "Heartbeat", text, at)
    sent = (charge_point.pk, Message.Direction.SENT, Message.Kind.CALL_ERROR, "", "", "[]", at - timedelta(days=1))
    journal._notes.messages.extend(Entry(*values) for values in [received, sent] * 3)
    await journal.flush()
    assert [*Message.objects.order_by("id").values_list(*Entry._fields)] == [received, sent] * 3


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite takes text of any length")
async def test_goes_on_when_the_database_refuses_what_many_said(journal: Journal, charge_point: Any) -> None:
    journal._notes.messages.extend(
        Entry(charge_point.pk, "in", 2, "1", "x" * 50, "[]", timezone.now()) for _ in range(5)
    )
    assert await journal.flush()
    journal.message(charge_point.pk, "in", 2, "[]")
    assert await journal.flush()
    assert Message.objects.count() == 1


async def test_writes_nothing_twice(journal: Journal, charge_point: Any) -> None:
    journal.message(charge_point.pk, "in", 2, "[]")
    await journal.flush()
    await journal.flush()
    assert Message.objects.count() == 1


@pytest.mark.parametrize("delete", [ChargePoint.delete, lambda row: ChargePoint.objects.filter(pk=row.pk).delete()])
def test_lets_a_charge_point_be_deleted_while_it_talks(make_charge_point: Callable[..., Any], delete: Any) -> None:
    rows = [make_charge_point() for _ in range(25)]
    ended = Event()

    def talk() -> None:
        while not ended.is_set():
            store(*rows)
        connection.close()

    with ThreadPoolExecutor(1) as threads:
        talking = threads.submit(talk)
        try:
            for row in rows:
                delete(row)
        finally:
            ended.set()
        talking.result()
    assert not Message.objects.exists()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")
async def test_waits_for_no_charge_point_whose_log_is_being_deleted(make_charge_point: Any, elsewhere: Any) -> None:
    row, other = make_charge_point(), make_charge_point()
    store(row)
    with transaction.atomic():
        Message.objects.select_for_update().get()
        deleting = elsewhere(row.delete)
        await blocked()
        elsewhere(store, row, other).result(10)
    deleting.result(10)
    assert Message.objects.get().charge_point == other


async def test_cuts_long_frames_and_drops_nuls(journal: Journal, charge_point: Any) -> None:
    journal.message(charge_point.pk, "in", 0, "a\x00b" + "x" * 100_000)
    await journal.flush()
    frame = Message.objects.get().frame
    assert frame.startswith("abx")
    assert len(frame) < journals.FRAME_LENGTH


async def test_takes_what_we_receive_for_a_sign_of_life_not_what_we_send(
    journal: Journal, make_charge_point: Any
) -> None:
    heard, told = make_charge_point(), make_charge_point()
    journal.message(heard.pk, "in", 3, "[]")
    journal.message(told.pk, "out", 2, "[]")
    await journal.flush()
    assert timezone.now() - ChargePoint.objects.get(pk=heard.pk).last_seen_at < timedelta(seconds=10)
    assert ChargePoint.objects.get(pk=told.pk).last_seen_at is None


async def test_counts_findings_of_a_kind_on_one_row(journal: Journal, charge_point: Any) -> None:
    for flush in range(2):
        for number in range(3):
            journal.finding(charge_point.pk, "kind", f"{flush}{number}")
        await journal.flush()
    finding = ConformanceFinding.objects.get()
    assert (finding.kind, finding.count, finding.detail) == ("kind", 6, "12")
    assert finding.first_seen_at < finding.last_seen_at


async def test_counts_refusals_of_a_kind_on_one_row(journal: Journal) -> None:
    for _ in range(2):
        refuse(journal)
        refuse(journal, path="/ocpp/1.6/X")
        refuse(journal, reason="wrong password")
        await journal.flush()
    rows = {row.reason: row for row in RefusedConnection.objects.all()}
    assert {reason: row.count for reason, row in rows.items()} == {"unknown": 4, "wrong password": 2}
    assert rows["unknown"].path == "/ocpp/1.6/X"
    assert rows["unknown"].last_at > rows["unknown"].first_at


async def test_fills_no_table_in_a_flood_from_one_address(journal: Journal) -> None:
    for number in range(300):
        refuse(journal, f"GUESS-{number}")
    await journal.flush()
    assert RefusedConnection.objects.count() == RefusedConnection.ROWS_PER_ADDRESS + 1
    assert RefusedConnection.objects.get(reason=RefusedConnection.OVERFLOW).count == 200


async def test_fills_no_memory_in_a_flood(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "MAXIMUM_KINDS", 10)
    for number in range(50):
        refuse(journal, address=f"10.0.0.{number}")
    await journal.flush()
    assert RefusedConnection.objects.count() == 11
    assert RefusedConnection.objects.get(reason=RefusedConnection.OVERFLOW).count == 40


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
async def test_keeps_everything_while_the_database_is_down(
    journal: Journal, charge_point: Any, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    with monkeypatch.context() as broken:
        break_database(broken, "store", error)
        for number in range(2):
            journal.message(charge_point.pk, "in", 2, f"[{number}]")
            journal.finding(charge_point.pk, "kind", "detail")
            refuse(journal)
            await journal.flush()
    journal.message(charge_point.pk, "in", 2, "[2]")
    await journal.flush()
    assert list(Message.objects.order_by("id").values_list("frame", flat=True)) == ["[0]", "[1]", "[2]"]
    assert ConformanceFinding.objects.get().count == 2
    assert RefusedConnection.objects.get().count == 2


async def test_writes_messages_once_though_the_refusals_fail(
    journal: Journal, charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OperationalError("deadlock")

    journal.message(charge_point.pk, "in", 2, "[]")
    refuse(journal)
    with monkeypatch.context() as patched:
        patched.setattr(type(RefusedConnection.objects.all()), "record", fail)
        patched.setattr(type(RefusedConnection.objects), "record", fail)
        assert not await journal.flush()
    assert await journal.flush()
    assert (Message.objects.count(), RefusedConnection.objects.get().count) == (1, 1)


async def test_drops_what_fits_no_column_and_goes_on(
    journal: Journal, charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.message(charge_point.pk, "in", 2, "[1]")
    with monkeypatch.context() as patched:
        break_database(patched, "store", DataError)
        assert await journal.flush()
    journal.message(charge_point.pk, "in", 2, "[2]")
    assert await journal.flush()
    assert [message.frame for message in Message.objects.all()] == ["[2]"]


async def test_keeps_the_newest_messages_of_a_long_outage(
    journal: Journal, charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        break_database(broken, "store")
        for number in range(4):
            for _ in range(6_000):
                journal.message(charge_point.pk, "in", 2, f"[{number}]")
            await journal.flush()
    await journal.flush()
    assert Message.objects.count() == journals.MAXIMUM_MESSAGES
    assert not Message.objects.filter(frame="[0]").count() > 2_000
    assert Message.objects.filter(frame="[3]").count() == 6_000


async def test_forgets_charge_points_that_were_deleted(journal: Journal, make_charge_point: Any) -> None:
    gone, kept = make_charge_point(), make_charge_point()
    for row in (gone, kept):
        journal.message(row.pk, "in", 2, "[]")
        journal.finding(row.pk, "kind", "detail")
    gone.delete()
    await journal.flush()
    assert Message.objects.get().charge_point_id == kept.pk
    assert ConformanceFinding.objects.get().charge_point_id == kept.pk


async def test_survives_an_outage_just_after_a_deletion(
    journal: Journal, make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, kept = make_charge_point(), make_charge_point()
    for row in (gone, kept):
        journal.message(row.pk, "in", 2, "[]")
    gone.delete()
    with monkeypatch.context() as broken:
        break_database(broken, "forget_deleted")
        await journal.flush()
    await journal.flush()
    assert Message.objects.get().charge_point_id == kept.pk


async def test_renews_leases_and_tells_who_lost_theirs(journal: Journal, make_charge_point: Any) -> None:
    mine, taken = make_charge_point(), make_charge_point()
    lost: list[str] = []
    for row in (mine, taken):
        row.connect(f"ocpp16.{row.identity}", "10.0.0.1")
        journal.hold(f"ocpp16.{row.identity}", row, lambda identity=row.identity: lost.append(identity))
    taken.connect("ocpp16.newer", "10.0.0.1")
    before = timezone.now() + timedelta(seconds=10)
    ChargePoint.objects.update(online_until=before)
    await journal._renew()
    assert lost == [taken.identity]
    assert ChargePoint.objects.get(pk=mine.pk).online_until > before + timedelta(seconds=30)
    assert ChargePoint.objects.get(pk=taken.pk).online_until == before


async def test_renews_no_lease_of_a_socket_that_was_released(journal: Journal, charge_point: Any) -> None:
    charge_point.connect("ocpp16.x", "10.0.0.1")
    before = ChargePoint.objects.get().online_until
    journal.hold("ocpp16.x", charge_point, lambda: None)
    journal.release("ocpp16.x")
    await journal._renew()
    assert ChargePoint.objects.get().online_until == before


@pytest.fixture
async def looked_at(
    journal: Journal, make_charge_point: Any, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[dict[str, Any]]:
    """What the journal has asked one by one, which sockets it has closed, and the charge points of three sockets."""
    looked: dict[str, Any] = {"asked": [], "lost": [], "rows": {}}
    owning = LeaseQuerySet.owning

    def ask(rows: Any, sockets: Sockets) -> dict[str, str]:
        looked["asked"] += sockets
        return owning(rows, sockets)

    monkeypatch.setattr(LeaseQuerySet, "owning", ask)
    exchange = Exchange.of_this_loop()
    for status in ("Accepted", "Accepted", "Rejected"):
        channel_name, row = await exchange.open(lambda event: None), make_charge_point(registration_status=status)
        row.connect(channel_name, "10.0.0.1")
        journal.hold(channel_name, row, partial(looked["lost"].append, channel_name))
        looked["rows"][channel_name] = row
    yield looked
    for channel_name in looked["rows"]:
        exchange.close(channel_name)


async def test_asks_one_by_one_only_for_those_who_are_not_accepted(journal: Journal, looked_at: dict[str, Any]) -> None:
    *accepted, rejected = looked_at["rows"]
    await journal._look()
    assert (looked_at["asked"], looked_at["lost"]) == ([rejected], [])
    assert all(map(journal.time_for, accepted))
    assert not journal.time_for(rejected)


@pytest.mark.parametrize("back", ["ocpp16.of-another/1", "ocpp16.of-another/2", ""])
async def test_finds_the_one_that_is_lost(journal: Journal, looked_at: dict[str, Any], back: str) -> None:
    first, *others = looked_at["rows"]
    ChargePoint.objects.filter(channel_name=first).update(channel_name=back)
    await journal._look()
    assert (looked_at["asked"], looked_at["lost"]) == ([first, *others], [first])


async def test_finds_the_one_that_is_lost_where_another_has_become_accepted(
    journal: Journal, looked_at: dict[str, Any]
) -> None:
    first, *others = looked_at["rows"]
    ChargePoint.objects.filter(channel_name=first).update(channel_name="")
    ChargePoint.objects.filter(channel_name=others[-1]).update(registration_status="Accepted")
    await journal._look()
    assert looked_at["lost"] == [first]
    assert all(map(journal.time_for, others))


async def test_asks_nothing_of_a_database_that_is_away(
    journal: Journal, looked_at: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*asked: Any) -> None:
        raise OperationalError("the database is down")

    monkeypatch.setattr(LeaseQuerySet, "accepted", fail)
    monkeypatch.setattr(LeaseQuerySet, "owning", fail)
    await journal._look()
    assert looked_at["lost"] == []
    assert not any(map(journal.time_for, looked_at["rows"]))


def test_renews_at_least_three_times_within_a_lease() -> None:
    assert journals.RENEW_SECONDS * 3 < journals.LEASE.total_seconds() <= 90
