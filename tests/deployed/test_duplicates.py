"""A StartTransaction that a charge point repeats on one socket after the other, on both workers."""

from __future__ import annotations

import asyncio
from typing import Any

import websockets

from chargepoints.models import Transaction
from tests.charge_point import ChargePointClient

START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
CLOSED = ConnectionError | websockets.ConnectionClosed
SOCKETS = 20
EACH = 5


async def test_makes_one_row_with_one_id(deployment: Any, servers: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    clients, calls = [], []
    for number in range(SOCKETS):
        worker = deployment.workers[number % len(deployment.workers)]
        client = ChargePointClient(f"ws://127.0.0.1:{worker.port}/ocpp16/{row.identity}", row.identity)
        await client.connect()  # while the socket before it still has its own handled
        clients.append(client)
        calls += [asyncio.create_task(client.call("StartTransaction", START)) for _ in range(EACH)]
        await asyncio.sleep(0)  # they leave
    answers = await asyncio.gather(*calls, return_exceptions=True)
    ids = {answer["transactionId"] for answer in answers if isinstance(answer, dict)}
    assert ids == {Transaction.objects.get().pk}
    assert not [answer for answer in answers if not isinstance(answer, dict | CLOSED)]
    assert all(isinstance(answer, dict) for answer in answers[-EACH:])
    for client in clients:
        await client.close()
