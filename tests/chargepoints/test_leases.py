"""Leases that ran out: their charge points are offline, and come back if their socket lived after all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from chargepoints.models import ChargePoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lapsed(make_charge_point: Callable[..., ChargePoint]) -> ChargePoint:
    """A charge point whose lease ran out a moment ago."""
    row = make_charge_point()
    row.connect("ocpp16.socket", "127.0.0.1")
    ran_out_at(row, timezone.now() - timedelta(seconds=2))
    return row


def ran_out_at(row: ChargePoint, at: datetime) -> None:
    ChargePoint.objects.filter(pk=row.pk).update(online_until=at)
    row.refresh_from_db()


def test_marks_offline_with_the_time_when_the_lease_ran_out(lapsed: ChargePoint) -> None:
    ended_at = lapsed.online_until
    assert ChargePoint.objects.end_leases() == 1
    lapsed.refresh_from_db()
    assert (lapsed.online_until, lapsed.disconnected_at, lapsed.is_online) == (None, ended_at, False)
    assert ChargePoint.objects.end_leases() == 0


def test_leaves_leases_that_run(make_charge_point: Any) -> None:
    row = make_charge_point()
    row.connect("ocpp16.socket", "127.0.0.1")
    assert ChargePoint.objects.end_leases() == 0
    row.refresh_from_db()
    assert row.is_online


def test_lets_a_socket_that_lived_after_all_come_back(lapsed: ChargePoint) -> None:
    ChargePoint.objects.end_leases()
    assert ChargePoint.objects.renew_leases(["ocpp16.socket"]) == {"ocpp16.socket": "Accepted"}
    lapsed.refresh_from_db()
    assert lapsed.is_online


def test_tells_apart_who_is_accepted_who_is_not_and_who_is_gone(make_charge_point: Any) -> None:
    for channel_name, status in (("ocpp16.1", "Accepted"), ("ocpp16.2", "Rejected"), ("ocpp16.other", "Accepted")):
        make_charge_point(registration_status=status).connect(channel_name, "127.0.0.1")
    owning = {"ocpp16.1": "Accepted", "ocpp16.2": "Rejected"}
    assert ChargePoint.objects.owning(["ocpp16.1", "ocpp16.2", "ocpp16.gone"]) == owning
    assert ChargePoint.objects.owning(["ocpp16.1"]) == {"ocpp16.1": "Accepted"}


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="of PostgreSQL's pages")
def test_renews_beside_the_rows_without_another_entry_in_any_index(make_charge_point: Any) -> None:
    for _ in range(100):
        make_charge_point()
    with transaction.atomic(), connection.cursor() as cursor:
        ChargePoint.objects.update(online_until=timezone.now())
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated('chargepoints_chargepoint'::regclass)")
        assert cursor.fetchone()[0] > 80  # but for the last page, of which others may have filled more


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no row locks")
def test_passes_over_what_another_process_has_claimed(lapsed: ChargePoint) -> None:
    claimed, done = Event(), Event()

    def claim() -> None:
        with transaction.atomic():
            ChargePoint.objects.select_for_update().get(pk=lapsed.pk)
            claimed.set()
            done.wait(10)
        connection.close()

    with ThreadPoolExecutor() as threads:
        threads.submit(claim)
        assert claimed.wait(10)
        assert ChargePoint.objects.end_leases() == 0
        done.set()
    assert ChargePoint.objects.end_leases() == 1
