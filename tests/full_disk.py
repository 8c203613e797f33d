"""A disk that a test can fill, and what charge points remember of the time."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from .charge_point import CallErrorReceived, ChargePointClient

START = {"idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
SAMPLES = [{"value": "1" * 200, "measurand": f"Temperature-{number}"} for number in range(100)]


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of that size in a folder that everybody may enter; skips where none may be mounted."""
    with TemporaryDirectory(prefix="dynamo-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "tmpfs", folder]
        if subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
            pytest.skip("needs the right to mount a small disk")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Take all the space that is left."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


class Ledger:
    """What the server acknowledged, as the charge points remember it."""

    def __init__(self) -> None:
        self.starts: set[int] = set()
        self.numbers = itertools.count()
        self.readings = self.refused = 0

    async def measure(self, client: ChargePointClient) -> None:
        """Report many samples, each time others."""
        reading = {"timestamp": "2026-01-01T10:00:00Z", "sampledValue": [{"value": str(next(self.numbers))}, *SAMPLES]}
        try:
            await client.call("MeterValues", {"connectorId": 1, "meterValue": [reading]})
        except CallErrorReceived:
            self.refused += 1
        else:
            self.readings += 1

    async def start(self, client: ChargePointClient, number: int) -> None:
        """Start on a connector of that number; silence is no acknowledgement."""
        with suppress(TimeoutError):
            call = client.call("StartTransaction", {**START, "connectorId": number})
            self.starts.add((await asyncio.wait_for(call, 0.5))["transactionId"])

    async def measure_until(self, clients: list[ChargePointClient], is_enough: Callable[[], bool]) -> None:
        """Report, all at once, again and again."""
        async with asyncio.timeout(60):
            while not is_enough():
                await asyncio.gather(*(self.measure(client) for client in clients))
