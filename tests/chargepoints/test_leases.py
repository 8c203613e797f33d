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
    assert ChargePoint.objects.renew_leases({"ocpp16.socket": lapsed.pk}) == {"ocpp16.socket": "Accepted"}
    lapsed.refresh_from_db()
    assert lapsed.is_online


def test_tells_apart_who_is_accepted_who_is_not_and_who_is_gone(make_charge_point: Any) -> None:
    pks = {}
    for channel_name, status in (("ocpp16.1", "Accepted"), ("ocpp16.2", "Rejected"), ("ocpp16.newer", "Accepted")):
        row = make_charge_point(registration_status=status)
        row.connect(channel_name, "127.0.0.1")
        pks[channel_name] = row.pk
    replaced, deleted = {"ocpp16.older": pks.pop("ocpp16.newer")}, {"ocpp16.gone": 2**40}
    owning = {"ocpp16.1": "Accepted", "ocpp16.2": "Rejected"}
    assert ChargePoint.objects.owning({**pks, **replaced, **deleted}) == owning
    assert ChargePoint.objects.owning({"ocpp16.1": pks["ocpp16.1"]}) == {"ocpp16.1": "Accepted"}


def test_adds_up_the_accepted_of_one_process(make_charge_point: Any) -> None:
    for channel_name in ("ocpp16.a/7", "ocpp16.a/11", "ocpp16.b/100", "ocpp16.A/100", "ocpp16.a0", ""):
        make_charge_point().connect(channel_name, "127.0.0.1")
    make_charge_point(registration_status="Pending").connect("ocpp16.a/100", "127.0.0.1")
    assert ChargePoint.objects.accepted("ocpp16.a/") == (2, 18)
    assert ChargePoint.objects.accepted("ocpp16.c/") == (0, 0)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="of PostgreSQL's plans")
def test_adds_up_and_renews_without_reading_the_whole_fleet(make_charge_point: Any) -> None:
    sockets = connected_of_a_fleet(make_charge_point)
    with transaction.atomic():
        before = whole_reads()
        for _ in range(10):
            assert ChargePoint.objects.accepted("ocpp16.x/")[0] == 20
            assert len(ChargePoint.objects.renew_leases(sockets)) == 20
        assert whole_reads() == before


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="of PostgreSQL's plans")
def test_finds_out_who_owns_without_reading_the_whole_fleet(make_charge_point: Any) -> None:
    sockets = connected_of_a_fleet(make_charge_point)
    with transaction.atomic():
        before = whole_reads()
        for _ in range(10):  # more often than PostgreSQL plans for the values given
            assert len(ChargePoint.objects.owning(sockets)) == 20
        assert whole_reads() == before


def connected_of_a_fleet(make_charge_point: Any) -> dict[str, int]:
    """The sockets of a few of many charge points."""
    row = make_charge_point()
    fleet = [ChargePoint(organization=row.organization, identity=f"FLEET-{number}") for number in range(2000)]
    ChargePoint.objects.bulk_create(fleet)
    sockets = {f"ocpp16.x/{each.pk}": each.pk for each in fleet[:20]}
    ChargePoint.objects.connect([(pk, name, "127.0.0.1") for name, pk in sockets.items()], patiently=True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE chargepoints_chargepoint")
    return sockets


def whole_reads() -> int:
    """How often the whole table of charge points was read, lately, on this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'chargepoints_chargepoint'")
        return cursor.fetchone()[0]


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
