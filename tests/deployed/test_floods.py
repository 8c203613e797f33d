"""One authenticated peer that sends without waiting, or takes nothing: closed, while the others do not notice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.metrics import Read

from .fleet import timed

pytestmark = pytest.mark.timeout(300)

LENGTH = 100_000
MEBIBYTE = 1024 * 1024
MAXIMUM_GROWTH = 32 * MEBIBYTE
ANSWER_SECONDS = 0.5
CLOSE_SECONDS = 120
OTHERS = 10
PAUSE_SECONDS = 0.01  # of each of the others between two CALLs


def peak(process: Any) -> int:
    """The most that the worker held since the last `forget_peak`, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def forget_peak(process: Any) -> None:
    Path(f"/proc/{process.process.pid}/clear_refs").write_text("5")  # proc(5)


def write(peer: ChargePointClient, data: bytes, count: int) -> bool:
    """Send as fast as the server reads; returns whether it hung up.

    In a thread, and past the client's own bookkeeping, which would slow the flood and the measurement down.
    """
    with peer.socket.transport.get_extra_info("socket").dup() as raw:
        raw.settimeout(CLOSE_SECONDS)
        try:
            for _ in range(count):
                raw.sendall(data)
        except ConnectionError:
            return True
    return False


async def flood(peer: ChargePointClient, data: bytes, count: int) -> None:
    """Send, until the server says that it closes, or hangs up."""
    writing = asyncio.create_task(asyncio.to_thread(write, peer, data, count))
    told = peer.socket.protocol
    await eventually(lambda: told.close_rcvd or (writing.done() and writing.result()), CLOSE_SECONDS)


async def answers(other: ChargePointClient, flooding: asyncio.Task[Any]) -> list[float]:
    """How long each took; every CALL was sent before the flood was over."""
    seconds = []
    while not flooding.done():
        seconds.append((await timed(other.call("Authorize", {"idTag": "TAG"})))[1])
        await asyncio.sleep(PAUSE_SECONDS)
    return seconds


def data_transfer() -> str:
    return json.dumps([2, "m", "DataTransfer", {"vendorId": "V", "data": "x" * LENGTH}])


def meter_values() -> str:
    sample = {"value": "1", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
    readings = [{"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [sample] * (LENGTH // len(json.dumps(sample)))}]
    return json.dumps([2, "m", "MeterValues", {"connectorId": 1, "meterValue": readings}])


def garbage() -> str:
    return "[" * LENGTH


@pytest.fixture
def samples(scale: Callable[[int, int], int]) -> int:
    """So many answers are measured, all of them to who asked during a flood: the hundredth part is more than one."""
    return scale(300, 2000)


@dataclass
class Noticed:
    """What floods did to others, and to the worker's memory."""

    worker: Any
    others: list[ChargePointClient]
    seconds: list[float] = field(default_factory=list)
    growth: int = 0

    async def during(self, peer: ChargePointClient, data: bytes, count: int) -> None:
        forget_peak(self.worker)
        before = peak(self.worker)
        flooding = asyncio.create_task(flood(peer, data, count))
        found = await asyncio.gather(*(answers(other, flooding) for other in self.others))
        await flooding
        self.seconds += [seconds for each in found for seconds in each]
        self.growth = max(self.growth, peak(self.worker) - before)

    def assert_little(self) -> None:
        assert self.growth < MAXIMUM_GROWTH
        assert sorted(self.seconds)[int(len(self.seconds) * 0.99)] < ANSWER_SECONDS


@pytest.fixture
async def noticed(deployment: Any, connect: Any) -> Noticed:
    return Noticed(deployment.workers[1], [await connect() for _ in range(OTHERS)])


@pytest.mark.parametrize(
    ("message", "count", "reason"),
    [
        (data_transfer, 5000, "too much before we could answer"),
        (meter_values, 5000, "too much before we could answer"),
        (garbage, 40, "too many malformed frames"),  # of more it may be either that is too much
    ],
)
async def test_closes_on_a_flood(
    connect: Any, noticed: Noticed, moved: Read, samples: int, message: Callable[[], str], count: int, reason: str
) -> None:
    data = Frame(Opcode.TEXT, message().encode()).serialize(mask=True)
    while len(noticed.seconds) < samples:
        peer = await connect()
        await noticed.during(peer, data, count)
        assert await peer.closed() == (1008, reason)
    noticed.assert_little()
    assert moved("dynamo_connections_closed_total", reason=reason) > 0
    assert await noticed.others[0].boot()
    assert await (await connect()).boot()


async def test_hangs_up_on_a_peer_that_takes_nothing(
    deployment: Any, connect: Any, noticed: Noticed, moved: Read, samples: int
) -> None:
    pings = b"".join(Frame(Opcode.PING, b"x" * 125).serialize(mask=True) for _ in range(1000))
    while len(noticed.seconds) < samples:
        silent = await connect()
        silent.socket.transport.pause_reading()
        await noticed.during(silent, pings, 1_000_000)
        silent.socket.transport.abort()
    noticed.assert_little()
    assert moved("dynamo_connections_closed_total", reason="too much unsent") > 0
    assert "too much unsent" in deployment.workers[1].log.read_text()
