"""Which socket speaks for a charge point, and for how long it counts as online."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import websockets
from django.utils import timezone

from chargepoints.models import ChargePoint
from tests.charge_point import ChargePointClient
from tests.conftest import eventually

from .asking import request, row

KEY = "f0" * 20


async def test_closes_the_old_socket_when_a_newer_one_comes(connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    old = await connect(charge_point)
    new = await connect(charge_point)
    code, reason = await asyncio.wait_for(old.closed(), 1)
    assert (code, reason) == (1000, "replaced by a newer connection")
    assert await new.call("Heartbeat")


async def test_sends_commands_to_the_newest_socket_only(api: Any, connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    old, new = await connect(charge_point), await connect(charge_point)
    asked = request(api, charge_point.identity)
    await (await new.expect("Reset")).reply(status="Accepted")
    assert (await asked).status_code == 200
    await old.closed()
    assert old.calls.empty()


async def test_stays_online_when_the_old_socket_closes_late(api: Any, connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    old = await connect(charge_point)
    new = await connect(charge_point)
    await old.close()
    await old.closed()
    assert await new.call("Heartbeat")
    asked = request(api, charge_point.identity)
    await (await new.expect("Reset")).reply(status="Accepted")
    assert (await asked).status_code == 200
    assert row().is_online


async def test_moves_to_another_worker(api: Any, servers: Any, make_charge_point: Any) -> None:
    identity = make_charge_point().identity
    ports = [servers.charge_points.port, servers.http.port, servers.charge_points.port]
    sockets = [ChargePointClient(f"ws://127.0.0.1:{port}/ocpp16/{identity}", identity) for port in ports]
    for number, client in enumerate(sockets):
        await client.connect()
        assert await client.call("Heartbeat")
        if number:
            assert (await asyncio.wait_for(sockets[number - 1].closed(), 1))[0] == 1000
        asked = request(api, identity)
        await (await client.expect("Reset")).reply(status="Accepted")
        assert (await asked).status_code == 200
    assert row().is_online
    await sockets[-1].close()


async def test_changes_nothing_for_a_second_attempt_without_credentials(connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point(password=KEY)
    client = await connect(charge_point, KEY)
    with pytest.raises(websockets.InvalidStatus):
        await connect(charge_point, "wrong")
    assert await client.call("Heartbeat")
    assert row().is_online


async def test_survives_a_storm_of_redials(connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    clients = await asyncio.gather(*(connect(charge_point) for _ in range(8)))
    registered = await eventually(lambda: row().channel_name)
    closings = [asyncio.create_task(client.socket.wait_closed()) for client in clients]
    await eventually(lambda: sum(closing.done() for closing in closings) == 7)
    survivor = next(client for client, closing in zip(clients, closings, strict=True) if not closing.done())
    assert await survivor.call("Heartbeat")
    assert row().channel_name == registered
    for closing in closings:
        closing.cancel()


async def test_is_online_again_without_a_boot(api: Any, connect: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    first = await connect(charge_point)
    await first.boot()
    await first.close()
    await eventually(lambda: not row().channel_name)
    again = await connect(charge_point)
    asked = request(api, charge_point.identity)
    await (await again.expect("Reset")).reply(status="Accepted")
    assert (await asked).status_code == 200
    assert await again.status() == {}


async def test_goes_offline_when_the_connection_breaks(charge_point: Any) -> None:
    charge_point.socket.transport.abort()
    await eventually(lambda: not row().channel_name)
    assert row().disconnected_at is not None


async def test_is_closed_soon_where_the_process_that_took_it_over_died(charge_point: Any) -> None:
    row().connect("ocpp16.of-a-process-that-died-before-it-told", "127.0.0.1")
    assert await charge_point.closed() == (1000, "replaced by a newer connection")


def test_is_offline_once_its_lease_has_ended(make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    charge_point.connect("ocpp16.gone", "127.0.0.1")
    assert row().is_online
    assert ChargePoint.objects.online().exists()
    assert timedelta(seconds=30) < row().online_until - timezone.now() <= timedelta(seconds=90)
    ChargePoint.objects.update(online_until=timezone.now() - timedelta(seconds=1))
    assert not row().is_online
    assert not ChargePoint.objects.online().exists()
    assert ChargePoint.objects.offline().exists()


def test_renews_the_lease_of_its_own_sockets_only(make_charge_point: Any) -> None:
    mine, lost = make_charge_point(), make_charge_point()
    mine.connect("ocpp16.mine", "127.0.0.1")
    lost.connect("ocpp16.other", "127.0.0.1")
    ChargePoint.objects.update(online_until=timezone.now() - timedelta(seconds=1))
    renewed = ChargePoint.objects.renew_leases({"ocpp16.mine": mine.pk, "ocpp16.was": lost.pk})
    assert renewed == {"ocpp16.mine": "Accepted"}
    assert ChargePoint.objects.get(pk=mine.pk).is_online
    assert not ChargePoint.objects.get(pk=lost.pk).is_online
