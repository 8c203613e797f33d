"""Who waits for events hears when a charge point goes online or offline, and of no socket that changes neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from chargepoints.models import ChargePoint, OutboxEvent
from chargepoints.models.lease import LEASE
from tests.conftest import eventually
from tests.events import data_of, types_of

CONNECTED, DISCONNECTED = "charge_point.connected", "charge_point.disconnected"


async def test_tells_of_a_connection_and_its_end(connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    client = await connect(row)
    assert await types_of(row) == [CONNECTED]
    (connected,) = await data_of(row, CONNECTED)
    assert connected["address"] == client.address
    await client.close()
    await eventually(lambda: not ChargePoint.objects.get(pk=row.pk).is_online)
    assert await types_of(row) == [CONNECTED, DISCONNECTED]
    await connect(row)
    assert await types_of(row) == [CONNECTED, DISCONNECTED, CONNECTED]


async def test_tells_of_no_socket_that_replaces_a_live_one(connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    old = await connect(row)
    new = await connect(row)
    await old.closed()
    assert await new.call("Heartbeat")
    assert await types_of(row) == [CONNECTED]


@pytest.fixture
def row(make_charge_point: Any) -> Any:
    """A charge point that is online, on a process that has died since."""
    row = make_charge_point()
    row.connect("channel", "10.0.0.1")
    return row


def let_lease_lapse(row: Any) -> Any:
    ChargePoint.objects.filter(pk=row.pk).update(online_until=F("online_until") - LEASE - timedelta(seconds=5))
    row.refresh_from_db()
    return row.online_until


def noted() -> list[tuple[str, Any]]:
    return [(event.type, event.data) for event in OutboxEvent.objects.order_by("pk")]


def test_tells_of_a_lease_that_ran_out_once_and_when_that_was(row: Any) -> None:
    lapsed_at = let_lease_lapse(row)
    assert ChargePoint.objects.end_leases() == 1
    assert ChargePoint.objects.end_leases() == 0
    row.disconnect("channel")
    assert [kind for kind, _ in noted()] == [CONNECTED, DISCONNECTED]
    assert noted()[1][1] == {"disconnected_at": f"{lapsed_at:%Y-%m-%dT%H:%M:%SZ}"}


def test_tells_of_a_socket_whose_lease_is_renewed_after_it_had_ended(row: Any) -> None:
    let_lease_lapse(row)
    ChargePoint.objects.end_leases()
    for _ in range(2):
        assert ChargePoint.objects.renew_leases({"channel": row.pk}) == {"channel": "Accepted"}
    assert [kind for kind, _ in noted()] == [CONNECTED, DISCONNECTED, CONNECTED]
    assert noted()[2][1]["address"] == "10.0.0.1"


def test_tells_nothing_of_a_lease_that_is_renewed_before_anybody_saw_its_end(row: Any) -> None:
    let_lease_lapse(row)
    ChargePoint.objects.renew_leases({"channel": row.pk})
    assert [kind for kind, _ in noted()] == [CONNECTED]


def test_tells_first_of_the_end_that_nobody_saw(row: Any) -> None:
    let_lease_lapse(row)
    row.connect("another", "10.0.0.2")
    assert [kind for kind, _ in noted()] == [CONNECTED, DISCONNECTED, CONNECTED]


def test_tells_of_no_end_of_a_socket_that_was_replaced(row: Any) -> None:
    row.connect("another", "10.0.0.2")
    assert not row.disconnect("channel")
    assert [kind for kind, _ in noted()] == [CONNECTED]
