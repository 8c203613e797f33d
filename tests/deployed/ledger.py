"""Charge points that keep what is not answered and repeat it, as OCPP says, and a ledger of what was."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import websockets

from chargepoints.models import ChargePoint, MeterValue, OrphanStop, Transaction
from tests.charge_point import SECONDS, ChargePointClient

READINGS = 3
# A charge point measures and dials every so often; without a pause ten of them would fill both cores.
PAUSE = 0.02
# How often a connection breaks between a message and its answer: by kills alone it would seldom be just then.
BREAKS = 0.05


@dataclass
class Ledger:
    """What one charge point was told to be stored: transactions by id with their energies, and readings by time."""

    started: dict[int, int] = field(default_factory=dict)
    stopped: dict[int, int] = field(default_factory=dict)
    measured: list[str] = field(default_factory=list)


class Member:
    """One charge point of the fleet; `urls` tells where it may dial at the moment."""

    def __init__(self, row: ChargePoint, urls: Callable[[], Sequence[str]]) -> None:
        self.row, self.urls = row, urls
        self.ledger = Ledger()
        self.client: ChargePointClient | None = None
        self.meter = 0
        self.moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in itertools.count())

    def now(self) -> str:
        return next(self.moments).strftime("%Y-%m-%dT%H:%M:%SZ")

    async def connect(self) -> ChargePointClient:
        """A socket that is open, to any server that takes it."""
        while self.client is None:
            url = random.choice(self.urls())
            client = ChargePointClient(f"{url}/{self.row.identity}", self.row.identity)
            try:
                await client.connect()
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(PAUSE)
            else:
                self.client = client
                self.obeying = asyncio.create_task(self.obey(client))
        return self.client

    async def obey(self, client: ChargePointClient) -> None:
        """Accept every command until we hang up."""
        while True:
            call = await client.calls.get()
            with suppress(websockets.WebSocketException):
                await call.reply(status="Accepted")

    async def deliver(self, action: str, payload: dict[str, Any]) -> Any:
        """Send a CALL, over as many connections as it takes, until it is answered."""
        while True:
            client = await self.connect()
            try:
                if random.random() < BREAKS:
                    await client.send([2, "broken", action, payload])
                    await self.hang_up()
                    continue
                return await client.call(action, payload)
            except (ConnectionError, TimeoutError, websockets.WebSocketException):
                await self.hang_up()

    async def hang_up(self) -> None:
        if self.client is not None:
            client, self.client = self.client, None
            self.obeying.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(client.close(), SECONDS)

    async def session(self) -> None:
        """Charge once."""
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": self.meter, "timestamp": self.now()}
        number = (await self.deliver("StartTransaction", start))["transactionId"]
        self.ledger.started[number] = start["meterStart"]
        for _ in range(READINGS):
            await self.measure(number)
            await asyncio.sleep(PAUSE)
        self.meter += 10
        stop = {"transactionId": number, "meterStop": self.meter, "timestamp": self.now()}
        await self.deliver("StopTransaction", stop)
        self.ledger.stopped[number] = stop["meterStop"]

    async def measure(self, number: int) -> None:
        self.meter += 10
        at = self.now()
        reading = {"timestamp": at, "sampledValue": [{"value": str(self.meter), "unit": "Wh"}]}
        await self.deliver("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [reading]})
        self.ledger.measured.append(at)

    async def charge_until(self, end: asyncio.Event) -> None:
        """Charge again and again, and finish the last session."""
        while not end.is_set():
            await self.session()

    def assert_stored(self) -> None:
        """All that was acknowledged is in the database, once, and nothing else is."""
        rows = list(Transaction.objects.filter(charge_point=self.row))
        assert {row.pk: row.meter_start for row in rows} == self.ledger.started
        assert {row.pk: row.meter_stop for row in rows} == self.ledger.stopped
        assert {row.state for row in rows} == {"stopped"}
        times = MeterValue.objects.filter(charge_point=self.row).values_list("timestamp", flat=True)
        assert sorted(f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in times) == self.ledger.measured
        assert not OrphanStop.objects.filter(charge_point=self.row).exists()


class Fleet:
    """Members that charge at the same time: `async with fleet.charging(): ...` ends with their last sessions."""

    def __init__(self, rows: Sequence[ChargePoint], urls: Callable[[], Sequence[str]]) -> None:
        self.members = [Member(row, urls) for row in rows]
        self.end = asyncio.Event()

    async def __aenter__(self) -> Fleet:
        self.charging = [asyncio.create_task(member.charge_until(self.end)) for member in self.members]
        return self

    async def __aexit__(self, failed: type[BaseException] | None, *_: Any) -> None:
        self.end.set()
        if failed is not None:
            for task in self.charging:
                task.cancel()
        await asyncio.gather(*self.charging, return_exceptions=failed is not None)
        for member in self.members:
            await member.hang_up()

    @property
    def sessions(self) -> int:
        """How many have been charged to their end."""
        return sum(len(member.ledger.stopped) for member in self.members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)
