"""What sockets note in passing and the database gets a moment later, in one transaction for all of them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import DataError, Error, connection, transaction
from django.utils import timezone

from apikeys import clock
from chargepoints.database import in_database, insert, upkeep_thread
from chargepoints.models import ChargePoint, ConformanceFinding
from chargepoints.models.charge_point import RegistrationStatus
from chargepoints.models.lease import LEASE, Sockets
from chargepoints.tasks import tick

from . import metrics
from .exchange import Exchange
from .masking import loggable
from .models import Message, RefusedConnection

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 0.5
RENEW_SECONDS = LEASE.total_seconds() / 4
# A socket that is not reached any more must not pass for connected for long.
LOOK_SECONDS = 3
# What was seen then holds no longer than this.
KNOWN_SECONDS = 5
MAXIMUM_MESSAGES = 20_000
MAXIMUM_KINDS = 200
FRAME_LENGTH = 20_000
# A bulk statement must stay below SQLite's limit of variables.
CHUNK = 500


class Entry(NamedTuple):
    """A row of the message log to be."""

    charge_point_id: int
    direction: str
    kind: int
    message_id: str
    action: str
    frame: str
    at: datetime


# PostgreSQL's, of the fields in their order.
ENTRY_TYPES = ("int8", "text", "int2", "text", "text", "text", "timestamptz")


class Held(NamedTuple):
    """A socket of this process: whom it speaks for, and what to call when it does so no more."""

    charge_point_id: int
    when_lost: Callable[[], None]


@dataclass
class Notes:
    """What has gathered since the last flush."""

    messages: deque[Entry] = field(default_factory=lambda: deque(maxlen=MAXIMUM_MESSAGES))
    alive: dict[int, float] = field(default_factory=dict)
    findings: Counter[tuple[int, str]] = field(default_factory=Counter)
    details: dict[tuple[int, str], str] = field(default_factory=dict)
    refusals: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refused: dict[tuple[str, str, str], dict[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.messages or self.alive or self.findings or self.refusals)

    def forget_deleted(self) -> None:
        """Drop what is of charge points that are gone; the others stay until the transaction ends."""
        pks = {message.charge_point_id for message in self.messages} | {pk for pk, _ in self.findings}
        kept = ChargePoint.objects.keep(pks)
        if kept != pks:
            self.messages = deque((m for m in self.messages if m.charge_point_id in kept), maxlen=MAXIMUM_MESSAGES)
            self.findings = Counter({key: count for key, count in self.findings.items() if key[0] in kept})

    def store(self) -> None:
        """Write everything but what belongs to charge points that were deleted meanwhile."""
        with transaction.atomic():
            self.forget_deleted()
            if self.messages:
                insert(Message, Entry._fields, adapted(self.messages), ENTRY_TYPES)
            if self.alive:
                ChargePoint.objects.record_life(self.alive)
            now = timezone.now()
            for (charge_point_id, kind), count in self.findings.items():
                detail = self.details[charge_point_id, kind]
                ConformanceFinding.objects.record(charge_point_id, kind, detail, count, now)
        self.messages.clear()
        self.alive.clear()
        self.findings.clear()
        # Apart, and in an order that all processes share: a flood of strangers must hold no charge point's row.
        with transaction.atomic():
            for key, count in sorted(self.refusals.items()):
                identity, address, reason = key
                RefusedConnection.objects.record(
                    identity=identity, address=address, reason=reason, count=count, **self.refused[key]
                )


def adapted(entries: Sequence[Entry]) -> Sequence[tuple[Any, ...]]:
    """The values as the database's driver takes them; that of PostgreSQL takes times as they are."""
    if connection.vendor == "postgresql":
        return entries
    adapt = connection.ops.adapt_datetimefield_value
    return [(*entry[:-1], adapt(entry.at)) for entry in entries]


class Journal:
    """The notes of this process, and the leases of its sockets."""

    def __init__(self) -> None:
        self._notes = Notes()
        self._sockets: dict[str, Held] = {}
        # Those whose charge point was accepted when last looked at, and when that was.
        self._accepted: set[str] = set()
        self._looked_at = -math.inf
        self._tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    def message(
        self, charge_point_id: int, direction: str, kind: int, frame: str, *, message_id: str = "", action: str = ""
    ) -> None:
        """Log one frame of the conversation."""
        if len(self._notes.messages) == MAXIMUM_MESSAGES:
            metrics.journal_dropped.inc()
        text = loggable(frame)[:FRAME_LENGTH].replace("\x00", "")
        at = datetime.now(UTC)  # Django's looks its settings up each time
        self._notes.messages.append(Entry(charge_point_id, direction, kind, message_id, action, text, at))
        if direction == Message.Direction.RECEIVED:
            self._notes.alive[charge_point_id] = time.monotonic()

    def finding(self, charge_point_id: int, kind: str, detail: str) -> None:
        """Count a repair of what a charge point sent."""
        self._notes.findings[charge_point_id, kind] += 1
        self._notes.details[charge_point_id, kind] = detail

    def refusal(self, *, identity: str, address: str, reason: str, path: str, protocols: str) -> None:
        """Count a refused handshake; beyond so many kinds at once, a flood is one kind."""
        key = (identity, address, reason)
        if key not in self._notes.refusals and len(self._notes.refusals) >= MAXIMUM_KINDS:
            key, path, protocols = ("", "", RefusedConnection.OVERFLOW), "", ""
        self._notes.refusals[key] += 1
        self._notes.refused[key] = {"path": path, "protocols": protocols}

    def hold(self, channel_name: str, charge_point: ChargePoint, when_lost: Callable[[], None]) -> None:
        """Keep this socket's lease; `when_lost` is called if another socket has taken the charge point over."""
        self._sockets[channel_name] = Held(charge_point.pk, when_lost)
        self._note_status(channel_name, charge_point.registration_status)

    def release(self, channel_name: str) -> None:
        self._sockets.pop(channel_name, None)
        self._accepted.discard(channel_name)

    def _note_status(self, channel_name: str, registration_status: str | None) -> None:
        if registration_status == RegistrationStatus.ACCEPTED:
            self._accepted.add(channel_name)
        else:
            self._accepted.discard(channel_name)

    def time_for(self, channel_name: str) -> datetime | None:
        """The shared clock's time for a charge point that was accepted when last looked at; None if that is long ago.

        It asks no database, so that who only wants to know the time need not wait for one.
        """
        if channel_name not in self._accepted or time.monotonic() - self._looked_at > KNOWN_SECONDS:
            return None
        return clock.known_now()

    def waiting(self) -> int:
        """How many messages have not been written yet."""
        return len(self._notes.messages)

    def start(self) -> None:
        """Write and renew on the running loop from now on."""
        loop = asyncio.get_running_loop()
        if loop not in self._tasks or self._tasks[loop].done():
            self._tasks[loop] = loop.create_task(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at, renew_at = loop.time(), loop.time() + RENEW_SECONDS  # the time is not known yet
        while True:
            await tick(FLUSH_SECONDS)
            if not await self.flush():
                renew_at = loop.time()  # while the database was away, leases may have run out
            if not self._sockets:
                renew_at = loop.time() + RENEW_SECONDS  # the first to come will just have got its lease
                continue
            if loop.time() >= renew_at:
                if await self._renew():
                    renew_at = loop.time() + RENEW_SECONDS
            elif loop.time() >= look_at:
                await self._look()
            else:
                continue
            look_at = loop.time() + LOOK_SECONDS  # either has looked

    async def flush(self) -> bool:
        """Write what has gathered; False if the database refused, and it is kept for the next time."""
        notes, self._notes = self._notes, Notes()
        if not notes:
            return True
        try:
            await in_database(notes.store, threads=upkeep_thread)
        except DataError:
            metrics.journal_dropped.inc(len(notes.messages))
            logger.exception("Notes that fit no column were dropped")
        except Error as error:
            metrics.journal_failures.inc()
            logger.warning("The journal could not be written: %s", error)
            self._put_back(notes)
            return False
        return True

    def _put_back(self, notes: Notes) -> None:
        metrics.journal_dropped.inc(max(0, len(notes.messages) + len(self._notes.messages) - MAXIMUM_MESSAGES))
        notes.messages.extend(self._notes.messages)
        notes.alive |= self._notes.alive
        notes.findings.update(self._notes.findings)
        notes.details |= self._notes.details
        notes.refusals.update(self._notes.refusals)
        notes.refused |= self._notes.refused
        self._notes = notes

    async def _renew(self) -> bool:
        """Renew every lease; False if the database refused."""
        renewed = await self._close_lost(ChargePoint.objects.renew_leases, self._sockets, time.monotonic())
        metrics.leases.labels("renewed").inc(renewed or 0)
        return renewed is not None

    async def _look(self) -> None:
        """Close the sockets that are lost, asking one by one only where those of accepted charge points do not add up.

        The sum could be right by chance where several come and several go; the next renewal asks one by one.
        """
        began, channels = time.monotonic(), Exchange.of_this_loop().channels
        expected = {name: int(name.removeprefix(channels)) for name in self._accepted if name.startswith(channels)}
        try:
            found = await in_database(ChargePoint.objects.accepted, channels, threads=upkeep_thread)
        except Error:  # asking one by one tells of it
            found = None
        if found != (len(expected), sum(expected.values())):
            expected = {}
        asked = {name: socket for name, socket in self._sockets.items() if name not in expected}
        await self._close_lost(ChargePoint.objects.owning, asked, began)

    async def _close_lost(
        self, owning: Callable[[Sockets], dict[str, str]], asked: dict[str, Held], began: float
    ) -> int | None:
        """Close each of these sockets that owns its charge point no more; returns how many do, None without database.

        The socket that took it over should have told, but its process may have died before. Learned with it is what
        Heartbeats are answered by: who is accepted, and the time.
        """
        sockets, count, chunk = list(asked.items()), 0, {}
        try:
            for start in range(0, len(sockets), CHUNK):
                chunk = {name: socket.charge_point_id for name, socket in sockets[start : start + CHUNK]}
                owned = await in_database(owning, chunk, threads=upkeep_thread)
                self._learn(chunk, owned)
                count += len(owned)
            await in_database(clock.refresh, threads=upkeep_thread)
        except Error as error:
            metrics.leases.labels("failed").inc(len(chunk))
            logger.warning("Nobody knows which sockets own their charge point: %s", error)
            return None
        self._looked_at = began
        return count

    def _learn(self, asked: Sockets, owned: dict[str, str]) -> None:
        """Note what was learned of these sockets, and close the lost ones among them."""
        present = [name for name in asked if name in self._sockets]  # the others have left meanwhile
        for name in present:
            self._note_status(name, owned.get(name))
        lost = [self._sockets[name] for name in present if name not in owned]
        metrics.leases.labels("lost").inc(len(lost))
        for socket in lost:
            socket.when_lost()


journal = Journal()
metrics.journal_waiting.set_function(journal.waiting)
