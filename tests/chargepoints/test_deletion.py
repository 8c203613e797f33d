"""A charge point that is deleted while it talks: nothing of it is left, and nobody else loses anything."""

from __future__ import annotations

from contextlib import suppress
from threading import Event as Ended
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from chargepoints.models import ChargePoint, Connector, ConnectorStatus, Event, OutboxEvent
from chargepoints.models.connector import Reported
from chargepoints.outbox import publish
from tests.conftest import blocked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_threads")]
on_postgresql = pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer at a time")


def report(*rows: ChargePoint, status: str = "Available") -> None:
    """What these tell of their first connector, in one transaction."""
    now = timezone.now()
    with transaction.atomic():
        there = ChargePoint.objects.conversing([row.pk for row in rows])
        told = [Reported(row.pk, 1, status, "NoError", now, now) for row in rows if row.pk in there]
        ConnectorStatus.objects.report(told)


def left_of_nobody() -> int:
    """How many rows name a charge point that is gone."""
    there = ChargePoint.objects.values("pk")
    return sum(model.objects.exclude(charge_point__in=there).count() for model in (Connector, ConnectorStatus, Event))


def test_leaves_nothing_behind(make_charge_point: Any, elsewhere: Any) -> None:
    rows = [make_charge_point() for _ in range(8)]
    report(*rows)
    ended = Ended()

    def talk() -> None:
        while not ended.is_set():
            for status in ("Preparing", "Available"):
                with suppress(IntegrityError):  # one was deleted meanwhile
                    report(*rows, status=status)
            publish()

    talking = elsewhere(talk)
    try:
        for row in rows[1:]:
            row.delete()
    finally:
        ended.set()
    talking.result()
    publish()
    assert left_of_nobody() == 0
    assert {*ConnectorStatus.objects.values_list("charge_point", flat=True)} == {rows[0].pk}
    assert not OutboxEvent.objects.exists()


@on_postgresql
async def test_stores_nothing_of_who_was_deleted_meanwhile(make_charge_point: Any, elsewhere: Any) -> None:
    row = make_charge_point()
    with transaction.atomic():
        list(ChargePoint.objects.filter(pk=row.pk).select_for_update())
        reporting = elsewhere(report, row)
        await blocked()
        row.delete()
    with pytest.raises(IntegrityError):
        reporting.result(10)
    assert left_of_nobody() == 0


@on_postgresql
async def test_publishes_nothing_of_who_was_deleted_meanwhile(make_charge_point: Any, elsewhere: Any) -> None:
    gone, kept = make_charge_point(), make_charge_point()
    report(gone, kept)
    with transaction.atomic():
        list(ChargePoint.objects.filter(pk=gone.pk).select_for_update())
        publishing = elsewhere(publish)
        await blocked()
        gone.delete()
    assert publishing.result(10) == 1
    assert Event.objects.get().charge_point == kept


@on_postgresql
async def test_waits_for_who_reports(make_charge_point: Any, elsewhere: Any) -> None:
    row = make_charge_point()
    with transaction.atomic():
        report(row)
        deleting = elsewhere(row.delete)
        await blocked()
    deleting.result(10)
    assert not ConnectorStatus.objects.exists()


@on_postgresql
async def test_waits_for_who_publishes(make_charge_point: Any, elsewhere: Any) -> None:
    row = make_charge_point()
    report(row)
    with transaction.atomic():
        assert publish() == 1
        deleting = elsewhere(row.delete)
        await blocked()
    deleting.result(10)
    assert not Event.objects.exists()


@on_postgresql
def test_has_no_check_of_each_row() -> None:
    with connection.cursor() as cursor:
        for model in (ConnectorStatus, Event):
            constraints = connection.introspection.get_constraints(cursor, model._meta.db_table).values()
            assert not any(constraint["foreign_key"] for constraint in constraints)
