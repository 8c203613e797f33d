"""A StartTransaction that a charge point repeats on one socket after the other, on both workers."""

from __future__ import annotations

import asyncio
from typing import Any

import websockets

from chargepoints.models import Transaction
from tests.metrics import Read

from .fleet import START, client_of

CLOSED = ConnectionError | websockets.ConnectionClosed
SOCKETS = 20
EACH = 5


async def test_makes_one_row_with_one_id(deployment: Any, make_charge_point: Any, moved: Read) -> None:
    row = make_charge_point()
    clients, calls = [], []
    for number in range(SOCKETS):
        client = client_of(deployment, row, number)
        await client.connect()  # while the socket before it still has its own handled
        clients.append(client)
        calls += [asyncio.create_task(client.call("StartTransaction", START)) for _ in range(EACH)]
        await asyncio.sleep(0)  # they leave
    answers = await asyncio.gather(*calls, return_exceptions=True)
    ids = {answer["transactionId"] for answer in answers if isinstance(answer, dict)}
    assert ids == {Transaction.objects.get().pk}
    assert not [answer for answer in answers if not isinstance(answer, dict | CLOSED)]
    assert all(isinstance(answer, dict) for answer in answers[-EACH:])
    assert moved("dynamo_starts_repeated_total") >= sum(isinstance(answer, dict) for answer in answers) - 1
    assert moved("dynamo_connections_closed_total", reason="replaced by a newer connection") >= SOCKETS - 1
    for client in clients:
        await client.close()
