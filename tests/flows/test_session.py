"""A whole charging session over the real server."""

from __future__ import annotations

import asyncio
from typing import Any

from chargepoints.models import ChargePoint, Reservation, Transaction
from ocpp16.models import Command
from tests.conftest import eventually


async def test_runs_a_session_by_api(api: Any, charge_point: Any) -> None:
    body = {"charge_point_id": charge_point.identity, "id_tag": "RFID-1", "connector_id": 1}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/remote_start_transaction", json=body))
    call = await charge_point.expect("RemoteStartTransaction")
    assert call.payload == {"connectorId": 1, "idTag": "RFID-1"}
    await call.reply(status="Accepted")
    response = await request
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "Accepted"

    number = await charge_point.start("RFID-1", meter_start=1000)
    await charge_point.measure("1500", "2026-01-01T10:10:00Z", transactionId=number)
    command = Command.objects.get(pk=response.headers["X-Command-Id"])
    assert command.transaction_id == number

    active = (await api.get(f"/api/v1/ocpp16/active_transactions/{charge_point.identity}")).json()
    assert active["total"] == 1
    assert active["active_transactions"][0]["energy_delivered_wh"] == 500

    body = {"charge_point_id": charge_point.identity, "transaction_id": number}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/remote_stop_transaction", json=body))
    call = await charge_point.expect("RemoteStopTransaction")
    assert call.payload == {"transactionId": number}
    await call.reply(status="Accepted")
    assert (await request).status_code == 200
    await charge_point.stop(number, 2000, reason="Remote")
    assert Transaction.objects.get(pk=number).energy_delivered_wh == 1000
    active = (await api.get(f"/api/v1/ocpp16/active_transactions/{charge_point.identity}")).json()
    assert active == {"charge_point_id": charge_point.identity, "active_transactions": [], "total": 0}


async def test_shows_a_charge_point_offline_once_its_socket_is_gone(api: Any, charge_point: Any) -> None:
    async def online() -> bool:
        return (await api.get("/api/v1/ocpp16/charge_points/status")).json()["charge_points"][0]["online"]

    assert await online()
    await charge_point.close()
    await eventually(lambda: not ChargePoint.objects.get().channel_name)
    assert not await online()


async def test_runs_a_session_by_tag(api: Any, charge_point: Any) -> None:
    assert await charge_point.call("Authorize", {"idTag": "CARD"}) == {"idTagInfo": {"status": "Accepted"}}
    await charge_point.status(1, "Preparing")
    number = await charge_point.start("CARD", meter_start=0)
    await charge_point.status(1, "Charging")
    await charge_point.measure("7000", "2026-01-01T11:00:00Z", transactionId=number)
    answer = await charge_point.stop(number, 7400, "2026-01-01T11:10:00Z", idTag="CARD", reason="Local")
    assert answer == {"idTagInfo": {"status": "Accepted"}}
    await charge_point.status(1, "Available")

    session = Transaction.objects.get()
    assert (session.state, session.energy_delivered_wh, session.stop_reason) == ("stopped", 7400, "Local")
    assert session.meter_values.count() == 1
    history = session.charge_point.status_history.order_by("id").values_list("status", flat=True)
    assert list(history) == ["Available", "Preparing", "Charging", "Available"]


async def test_keeps_a_session_over_a_lost_connection(connect: Any, make_charge_point: Any, api: Any) -> None:
    row = make_charge_point()
    before = await connect(row)
    number = await before.start("CARD", meter_start=0)
    before.socket.transport.abort()

    after = await connect(row)
    await after.measure("500", "2026-01-01T10:30:00Z", transactionId=number)
    active = (await api.get(f"/api/v1/ocpp16/active_transactions/{row.identity}")).json()
    assert [session["energy_delivered_wh"] for session in active["active_transactions"]] == [500]

    body = {"charge_point_id": row.identity, "transaction_id": number}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/remote_stop_transaction", json=body))
    await (await after.expect("RemoteStopTransaction")).reply(status="Accepted")
    assert (await request).status_code == 200
    await after.stop(number, 900)
    assert Transaction.objects.get().energy_delivered_wh == 900


async def test_counts_a_repeated_session_once(connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    numbers = []
    for _ in range(3):
        client = await connect(row)
        numbers.append(await client.start("CARD"))
        await client.measure("150", "2026-01-01T10:30:00Z", transactionId=numbers[-1])
        await client.stop(numbers[-1], 200)
    assert len(set(numbers)) == 1
    session = Transaction.objects.get()
    assert (session.energy_delivered_wh, session.meter_values.count()) == (100, 1)


async def test_uses_a_reservation_up(api: Any, charge_point: Any) -> None:
    body = {
        "charge_point_id": charge_point.identity,
        "connector_id": 1,
        "expiry_date": "2099-01-01T00:00:00Z",
        "id_tag": "CARD",
        "reservation_id": 7,
    }
    request = asyncio.create_task(api.post("/api/v1/ocpp16/reserve_now", json=body))
    call = await charge_point.expect("ReserveNow")
    assert list(call.payload) == ["connectorId", "expiryDate", "idTag", "reservationId"]
    await call.reply(status="Accepted")
    assert (await request).json()["expires_at"] == "2099-01-01T00:00:00Z"
    assert Reservation.objects.get().state == "active"

    started = {"connectorId": 1, "idTag": "CARD", "meterStart": 0, "timestamp": "2026-01-01T10:00:00Z"}
    await charge_point.call("StartTransaction", {**started, "reservationId": 7})
    assert Reservation.objects.get().state == "used"


async def test_cancels_a_reservation(api: Any, charge_point: Any) -> None:
    common = {"charge_point_id": charge_point.identity, "reservation_id": 8}
    body = {**common, "connector_id": 1, "expiry_date": "2099-01-01T00:00:00Z", "id_tag": "CARD"}
    for endpoint, action, content in [
        ("reserve_now", "ReserveNow", body),
        ("cancel_reservation", "CancelReservation", common),
    ]:
        request = asyncio.create_task(api.post(f"/api/v1/ocpp16/{endpoint}", json=content))
        await (await charge_point.expect(action)).reply(status="Accepted")
        assert (await request).status_code == 200
    assert Reservation.objects.get().state == "cancelled"
