"""Requests with one Idempotency-Key at several workers, of which any may die."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from apikeys.idempotency import IdempotentRequest
from ocpp16.models import Command
from tests.api import error_of
from tests.conftest import eventually
from tests.servers import ServerProcess

from .conftest import Deployment

COUNT = 50
PATH = "/api/v1/ocpp16/reset"
# As where they are deployed.
ENVIRONMENT = {"DYNAMO_COMMAND_TIMEOUT": "10"}


@pytest.fixture
def workers(deployment: Deployment, servers: Any) -> list[ServerProcess]:
    return deployment.workers[:2]


def ask(api: httpx2.AsyncClient, server: ServerProcess, identity: str, key: str = "order-66") -> asyncio.Task[Any]:
    body, headers = {"charge_point_id": identity, "type": "Soft"}, {"Idempotency-Key": key}
    return asyncio.create_task(api.post(f"http://127.0.0.1:{server.port}{PATH}", json=body, headers=headers))


async def test_send_one_call_together(workers: list[ServerProcess], api: Any, charge_point: Any) -> None:
    asking = [ask(api, workers[number % 2], charge_point.identity) for number in range(COUNT)]
    call = await charge_point.expect("Reset")
    await eventually(lambda: sum(task.done() for task in asking) == COUNT - 1)
    await call.reply(status="Accepted")
    answers = await asyncio.gather(*asking)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: COUNT - 1}
    (first,) = (answer for answer in answers if answer.status_code == 200)
    for server in workers:
        again = await ask(api, server, charge_point.identity)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["X-Command-Id"] == first.headers["X-Command-Id"] == call.message_id
    assert Command.objects.count() == 1
    assert charge_point.calls.empty()


async def test_send_one_call_each_time_while_others_end(
    workers: list[ServerProcess], api: Any, charge_point: Any
) -> None:
    for number in range(3):
        asking = [ask(api, workers[each % 2], charge_point.identity, f"key-{number}") for each in range(COUNT)]
        call = await charge_point.expect("Reset")
        await call.reply(status="Accepted")
        answers = [answer for answer in await asyncio.gather(*asking) if answer.status_code != 409]
        assert {(answer.status_code, answer.headers["X-Command-Id"]) for answer in answers} == {(200, call.message_id)}
        assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
        assert charge_point.calls.empty()


async def test_outlive_a_worker_that_is_killed(
    deployment: Deployment, workers: list[ServerProcess], api: Any, charge_point: Any
) -> None:
    dying, living = deployment.worker(), workers[0]
    lost = ask(api, dying, charge_point.identity)
    call = await charge_point.expect("Reset")
    dying.stop(signal.SIGKILL)
    with pytest.raises(httpx2.TransportError):
        await lost
    await call.reply(status="Accepted")
    error_of(await ask(api, living, charge_point.identity), 409, "idempotency_in_progress")
    IdempotentRequest.objects.update(running_until=timezone.now() - timedelta(seconds=1))
    asking = ask(api, living, charge_point.identity)
    call = await charge_point.expect("Reset")
    await call.reply(status="Accepted")
    assert (await asking).headers["X-Command-Id"] == call.message_id
    assert (await ask(api, living, charge_point.identity)).headers["X-Command-Id"] == call.message_id


async def test_are_tried_again_once_the_channel_layer_is_back(
    deployment: Deployment, workers: list[ServerProcess], api: Any, charge_point: Any
) -> None:
    deployment.redis.kill()
    try:
        error_of(await ask(api, workers[0], charge_point.identity), 503, "service_unavailable")
    finally:
        deployment.redis.start()
    assert not IdempotentRequest.objects.exists()
    obeying = asyncio.create_task(obey(charge_point))
    while (answer := await ask(api, workers[0], charge_point.identity)).status_code != 200:
        assert answer.status_code == 503
    assert (await ask(api, workers[1], charge_point.identity)).headers["Idempotent-Replayed"] == "true"
    assert Command.objects.filter(state="accepted").count() == 1
    obeying.cancel()


async def obey(charge_point: Any) -> None:
    while True:
        await (await charge_point.calls.get()).reply(status="Accepted")
