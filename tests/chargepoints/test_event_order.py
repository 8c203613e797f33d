"""Events stand in an order in which nothing is inserted later, however the transactions of what happened overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event as Signal
from typing import Any

import pytest
from django.db import connection, transaction

from chargepoints.models import Event, OutboxEvent
from chargepoints.models.event import Happened
from chargepoints.outbox import publish

pytestmark = pytest.mark.django_db(transaction=True)
CONCURRENT = pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time.")


def note(row: Any, mark: str) -> None:
    OutboxEvent.objects.record([Happened(row.pk, "security.event", {"type": mark})])


def marks(after: int = 0) -> list[str]:
    return [event.data["type"] for event in Event.objects.in_feed(after)]


@contextmanager
def elsewhere(work: Callable[[], Any]) -> Iterator[Callable[[], None]]:
    """Has the work done in a transaction of another connection, which is committed when the yielded is called."""
    done, may_commit = Signal(), Signal()

    def run() -> None:
        try:
            with transaction.atomic():
                work()
                done.set()
                may_commit.wait(10)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(run)
        assert done.wait(10)

        def commit() -> None:
            may_commit.set()
            running.result(10)

        try:
            yield commit
        finally:
            may_commit.set()


def test_publishes_in_the_order_of_what_happened(make_charge_point: Any) -> None:
    row = make_charge_point()
    for mark in ("first", "second", "third"):
        note(row, mark)
    assert publish() == 3
    assert publish() == 0
    assert marks() == ["first", "second", "third"]
    assert not OutboxEvent.objects.exists()


@CONCURRENT
def test_gives_what_is_committed_later_a_later_place(make_charge_point: Any) -> None:
    row, other = make_charge_point(), make_charge_point()
    with elsewhere(lambda: note(other, "begun first")) as commit:
        note(row, "committed first")
        assert publish() == 1
        seen = Event.objects.latest("pk").pk
        assert publish() == 0
        commit()
    assert publish() == 1
    assert marks(after=seen) == ["begun first"]
    assert marks() == ["committed first", "begun first"]


@CONCURRENT
def test_lets_one_process_publish_at_a_time(make_charge_point: Any) -> None:
    row = make_charge_point()
    note(row, "taken by the other")
    with elsewhere(publish) as commit:
        note(row, "left to us")
        assert publish() == 0
        assert marks() == []
        commit()
    assert publish() == 1
    assert marks() == ["taken by the other", "left to us"]


def test_forgets_what_was_rolled_back(make_charge_point: Any) -> None:
    row = make_charge_point()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        note(row, "never")
        _ = 1 / 0
    note(row, "done")
    publish()
    assert marks() == ["done"]


def test_drops_what_happened_at_a_charge_point_that_was_deleted(make_charge_point: Any) -> None:
    row, kept = make_charge_point(), make_charge_point()
    note(row, "lost")
    note(kept, "kept")
    type(row).objects.filter(pk=row.pk)._raw_delete("default")
    assert publish() == 1
    assert marks() == ["kept"]
    assert publish() == 0


def test_publishes_more_than_a_batch(make_charge_point: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("chargepoints.models.event.BATCH", 2)
    row = make_charge_point()
    OutboxEvent.objects.record(Happened(row.pk, "security.event", {"type": str(number)}) for number in range(5))
    while publish():
        pass
    assert marks() == list("01234")
