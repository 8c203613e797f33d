"""One authenticated peer that sends without waiting, or takes nothing: closed, while the others do not notice."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.metrics import Read

LENGTH = 100_000
MEBIBYTE = 1024 * 1024
MAXIMUM_GROWTH = 32 * MEBIBYTE
ANSWER_SECONDS = 0.5
SAMPLES = 300
PING = b"\x89\xfd" + bytes(4) + b"x" * 125


def memory(process: Any) -> int:
    """What the worker holds, in bytes."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def watch(worker: Any, others: list[ChargePointClient], until: asyncio.Task[Any]) -> tuple[int, list[float]]:
    """The worker's largest size, and how long each of the others' heartbeats took, until the task is done or longer."""
    largest, seconds = 0, []
    while not until.done() or len(seconds) < SAMPLES:
        for other in others:
            began = time.monotonic()
            await other.call("Heartbeat")
            seconds.append(time.monotonic() - began)
        largest = max(largest, memory(worker))
        await asyncio.sleep(0.005)  # a pause between two measurements
    return largest, sorted(seconds)


def data_transfers(count: int) -> list[str]:
    data = "x" * LENGTH
    return [json.dumps([2, f"m{n}", "DataTransfer", {"vendorId": "V", "data": data}]) for n in range(count)]


def meter_values(count: int) -> list[str]:
    sample = {"value": "1", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    readings = [{"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [sample] * (LENGTH // len(json.dumps(sample)))}]
    return [json.dumps([2, f"m{n}", "MeterValues", {"connectorId": 1, "meterValue": readings}]) for n in range(count)]


def garbage(count: int) -> list[str]:
    return ["[" * LENGTH] * count


@pytest.mark.parametrize(
    ("flood", "reason"),
    [
        (data_transfers, "too much before we could answer"),
        (meter_values, "too much before we could answer"),
        (garbage, "too many malformed frames"),
    ],
)
async def test_closes_on_a_flood(
    deployment: Any, connect: Any, moved: Read, scale: Any, flood: Callable[[int], list[str]], reason: str
) -> None:
    peer, *others = [await connect() for _ in range(4)]
    worker = deployment.workers[1]
    frames, before = flood(1) * scale(1000, 5000), memory(worker)

    async def send_all() -> None:
        with suppress(websockets.ConnectionClosed):
            for frame in frames:
                await peer.socket.send(frame)

    flooding = asyncio.create_task(send_all())
    largest, seconds = await watch(worker, others, flooding)
    assert await peer.closed() == (1008, reason)
    assert moved("dynamo_connections_closed_total", reason=reason) == 1
    assert largest - before < MAXIMUM_GROWTH
    assert seconds[int(len(seconds) * 0.99)] < ANSWER_SECONDS
    assert await others[0].boot()
    assert await (await connect()).boot()


async def test_hangs_up_on_a_peer_that_takes_nothing(
    deployment: Any, connect: Any, servers: Any, make_charge_point: Any, moved: Read
) -> None:
    others = [await connect() for _ in range(3)]
    row, worker = make_charge_point(), deployment.workers[1]
    silent = ChargePointClient(f"{servers.ws_url}/{row.identity}", row.identity)
    await silent.connect()
    transport = silent.socket.transport
    transport.pause_reading()
    before = memory(worker)

    async def flood() -> None:
        while not transport.is_closing():
            transport.write(PING * 100)
            await asyncio.sleep(0.001)  # what it writes leaves

    flooding = asyncio.create_task(flood())
    watching = asyncio.create_task(watch(worker, others, flooding))
    await eventually(lambda: not type(row).objects.get(pk=row.pk).channel_name, 60)
    transport.abort()
    largest, seconds = await watching
    assert largest - before < MAXIMUM_GROWTH
    assert seconds[int(len(seconds) * 0.99)] < ANSWER_SECONDS
    assert "too much unsent" in worker.log.read_text()
    assert moved("dynamo_connections_closed_total", reason="too much unsent") == 1
