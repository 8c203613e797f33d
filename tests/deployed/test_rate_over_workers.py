"""The limit of ten commands a second for each charge point, asked over both servers at once."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from ocpp16.models import Command, Message
from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.metrics import moves_of
from tests.servers import ServerProcess

from .conftest import Deployment

RATE = 10
# What the network and a busy machine may take from a second between its leaving and its being seen.
JITTER = 0.5
# How long a CALL is held, so that one which did not wait for its answer would come meanwhile.
HELD = 0.05


class Obedient:
    """Accepts what comes, and notes when, and how many CALLs it holds at a time."""

    def __init__(self, client: ChargePointClient) -> None:
        self.client = client
        self.seen: list[float] = []
        self.ids: list[str] = []
        self.at_once = 0

    async def obey(self) -> None:
        while True:
            call = await self.client.calls.get()
            self.seen.append(time.monotonic())
            self.ids.append(call.message_id)
            await asyncio.sleep(HELD)
            self.at_once = max(self.at_once, 1 + self.client.calls.qsize())
            await call.reply(status="Accepted")


@pytest.fixture
def patient(deployment: Deployment, servers: Any) -> list[ServerProcess]:
    """Two servers that wait for answers as long as they do where they are deployed."""
    return [deployment.worker(DYNAMO_COMMAND_TIMEOUT="10") for _ in range(2)]


@pytest.fixture
async def obedient(patient: list[ServerProcess], make_charge_point: Any) -> AsyncIterator[Obedient]:
    identity = make_charge_point().identity
    client = ChargePointClient(f"ws://127.0.0.1:{patient[0].port}/ocpp16/{identity}", identity)
    await client.connect()
    made = Obedient(client)
    obeying = asyncio.create_task(made.obey())
    yield made
    obeying.cancel()
    await client.close()


async def ask(
    servers: list[ServerProcess], api: httpx2.AsyncClient, identity: str, count: int
) -> list[httpx2.Response]:
    """Send so many commands at once, half of them to each server."""
    urls = [f"http://127.0.0.1:{server.port}/api/v1/ocpp16/reset" for server in servers]
    body = {"charge_point_id": identity, "type": "Soft"}
    return await asyncio.gather(*(api.post(urls[number % len(urls)], json=body) for number in range(count)))


def shortest_span(moments: list[float]) -> float:
    """The shortest time in which one more than the limit came."""
    return min(later - earlier for earlier, later in zip(moments, moments[RATE:], strict=False))


async def test_lets_ten_through_in_any_second(
    patient: list[ServerProcess], api: httpx2.AsyncClient, obedient: Obedient, scale: Callable[[int, int], int]
) -> None:
    answers: list[httpx2.Response] = []
    moved = moves_of(patient)
    while len(obedient.seen) <= 2 * RATE:  # so that there is a second to slide over
        answers += await ask(patient, api, obedient.client.identity, scale(50, 200))
    codes = Counter(answer.status_code for answer in answers)
    assert set(codes) == {200, 429}
    assert codes[200] == len(obedient.seen) == len(set(obedient.ids))
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 429)
    states = Counter(Command.objects.values_list("state", flat=True))
    assert states == {"accepted": codes[200], "rate_limited": codes[429]}
    assert moved("dynamo_commands_total", outcome="rate_limited") == codes[429]
    assert obedient.at_once == 1
    assert shortest_span(obedient.seen) > 1 - JITTER
    sent = Message.objects.filter(direction="out", kind=2).order_by("at")
    await eventually(lambda: sent.count() == codes[200])
    assert shortest_span([at.timestamp() for at in sent.values_list("at", flat=True)]) >= 1
