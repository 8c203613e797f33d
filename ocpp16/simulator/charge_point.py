from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from random import Random
from typing import Any
from uuid import uuid4

from ocpp.v16 import call
from websockets.asyncio.client import ClientConnection

from .authorizations import Authorizations
from .configuration import Configuration
from .connector import Connector
from .makes import MAKES, Make, now
from .outbox import Entry, Outbox
from .profiles import Profiles
from .transaction import Transaction
from .vehicle import Vehicle

logger = logging.getLogger(__name__)

SECONDS_TO_REBOOT = 3.0
SECONDS_BETWEEN_BOOTS = 10
# Of a long time offline, periodic meter values beyond this many messages are dropped; starts and stops never.
MEMORY = 2_000


class ChargePoint:
    """A simulated charge point: what it is and what it remembers, over connections and reboots.

    `speed` hurries drivers, batteries and internal delays; times, power and energy on the wire stay true to the clock.
    """

    def __init__(
        self,
        url: str,
        identity: str,
        *,
        password: str | None = None,
        make: Make = MAKES[0],
        id_tags: Sequence[str] = (),
        speed: float = 1.0,
        longest_wait: float = 60.0,
        on_event: Callable[[str, str], None] | None = None,
    ) -> None:
        self.url, self.identity, self.password = url, identity, password
        self.make, self.firmware = make, make.firmware
        self.id_tags, self.speed, self.longest_wait = id_tags, speed, longest_wait
        self.on_event = on_event
        self.random = Random(identity)
        self.configuration = Configuration(make)
        self.authorizations = Authorizations(self.configuration)
        self.profiles = Profiles(make)
        self.outbox = Outbox()
        self.operative = True
        self.connectors = [Connector(self, number) for number in range(1, make.connectors + 1)]
        # Sessions whose end the central system has not confirmed yet, or that run.
        self.untold: list[Transaction] = []
        self.socket: ClientConnection | None = None
        # The HTTP status of the last handshake, unless that succeeded.
        self.refused_with: int | None = None
        self.accepted = asyncio.Event()
        self.seconds_offline: float | None = None
        self._boot_interval = float(SECONDS_BETWEEN_BOOTS)
        self._last_heartbeat = 0.0
        self._aligned_slot = 0
        self._messages = 0
        self._errands: set[asyncio.Task[None]] = set()

    @property
    def is_online(self) -> bool:
        return self.socket is not None and self.accepted.is_set()

    @property
    def is_memory_full(self) -> bool:
        return len(self.outbox) >= MEMORY

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    async def pause(self, seconds: float) -> None:
        """Wait as long as something takes here, or shorter with `speed`."""
        await asyncio.sleep(seconds / self.speed)

    def report(self, event: str) -> None:
        logger.debug("%s %s", self.identity, event)
        if self.on_event is not None:
            self.on_event(self.identity, event)

    def connector(self, number: int | None) -> Connector | None:
        return next((connector for connector in self.connectors if connector.number == number), None)

    def arriving_vehicle(self) -> Vehicle:
        return Vehicle(self.random, self.make, self.speed)

    def errand(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something beside; a reboot cuts it short."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._errands.add(task)
        task.add_done_callback(self._errand_done)

    def _errand_done(self, task: asyncio.Task[None]) -> None:
        self._errands.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("%s: an errand failed", self.identity, exc_info=task.exception())

    def cancel_errands(self) -> None:
        for task in self._errands - {asyncio.current_task()}:  # type: ignore[arg-type]
            task.cancel()

    def next_message_id(self) -> str:
        """A UUID, or from "1" after each boot where the make counts."""
        self._messages += 1
        return str(self._messages) if self.make.counts_messages else str(uuid4())

    def post(
        self,
        build: Callable[[], Any],
        on_answer: Callable[[Any], None] | None = None,
        *,
        kept: bool = False,
        urgent: bool = False,
    ) -> asyncio.Future[Any]:
        """Send a CALL in its turn; the future gives its answer, or None where there is none.

        `kept` ones survive being offline. `urgent` ones go first, and before the central system has accepted us.
        """
        entry = Entry(build, on_answer, kept)
        if kept or self.is_online or (urgent and self.socket is not None):
            self.outbox.put(entry, urgent)
        else:
            entry.finish(None)
        return entry.answer

    async def authorize(self, id_tag: str) -> bool:
        """Whether a session with this tag may begin: by the central system, or by our own knowledge while offline."""
        if self.authorizations.without_asking(id_tag):
            return True
        answer = await self.post(lambda: call.Authorize(id_tag))
        if answer is None:
            return not self.is_online and self.authorizations.offline(id_tag)
        self.authorizations.remember(id_tag, answer.id_tag_info)
        self.report(f"id tag {id_tag}: {answer.id_tag_info['status']}")
        return answer.id_tag_info["status"] == "Accepted"

    def limit(self, connector: Connector, transaction_start: datetime) -> float:
        """The power that a connector may take now, in W; those that charge share the charge point's own limit."""
        moment = now()
        charging = sum(1 for other in self.connectors if other.transaction) or 1
        own = self.profiles.limit(connector.number, moment, transaction_start)
        return min(own, self.profiles.limit(0, moment) / charging)

    def notify(self, connector: Connector | None, urgent: bool = False) -> None:
        """Send the status of a connector; None stands for the charge point itself (connector 0)."""
        if connector is None:
            status = call.StatusNotification(0, "NoError", self.status, self.make.timestamp(now()))  # type: ignore[arg-type]
        else:
            status = call.StatusNotification(
                connector.number,
                connector.error_code,  # type: ignore[arg-type]
                connector.status,  # type: ignore[arg-type]
                self.make.timestamp(connector.changed_at),
                connector.info or None,
            )
            self.report(f"connector {connector.number} is {connector.status}")
        self.post(lambda: status, urgent=urgent)

    @property
    def status(self) -> str:
        return "Available" if self.operative else "Unavailable"

    def change_availability(self, operative: bool) -> None:
        """The part of ChangeAvailability on connector 0 that concerns the charge point itself."""
        if operative != self.operative:
            self.operative = operative
            self.notify(None)

    def boot_notification(self) -> call.BootNotification:
        serial = f"{self.make.vendor[:3].upper()}-{Random(self.identity).randrange(10**8):08d}"
        return call.BootNotification(
            charge_point_model=self.make.model[:20],
            charge_point_vendor=self.make.vendor[:20],
            charge_point_serial_number=serial,
            firmware_version=self.firmware,
            meter_type=f"{self.make.vendor} MID",
        )

    async def stay_registered(self) -> None:
        """Send BootNotification until the central system accepts us, at the interval that it tells, for ever."""
        while True:
            if not self.accepted.is_set():
                await self.post(self.boot_notification, self.booted, urgent=True)
            await asyncio.sleep(self._boot_interval)

    def booted(self, answer: Any) -> None:
        """Take in the answer to BootNotification."""
        if answer is None:
            return
        self.report(f"boot {answer.status}")
        if answer.status != "Accepted":
            self.accepted.clear()
            self._boot_interval = answer.interval or SECONDS_BETWEEN_BOOTS
            return
        if answer.interval > 0:
            self.configuration["HeartbeatInterval"] = str(answer.interval)
        self._last_heartbeat = self.time()
        self.accepted.set()
        self.outbox.wake()
        self.announce()

    def announce(self) -> None:
        """Send the status of the charge point and of each connector."""
        self.notify(None)
        for connector in self.connectors:
            self.notify(connector)

    def disconnected(self) -> None:
        self.socket = None
        if self.make.boots_at_each_connection:
            self.accepted.clear()
        self.outbox.forget()

    async def reboot(self) -> None:
        """Go down and come up again: hang up, forget what a power cycle forgets, connect and boot."""
        self.report("reboots")
        self.accepted.clear()
        self.cancel_errands()
        for connector in self.connectors:
            connector.switch_off()
        self.configuration.reboot()
        self._messages = 0
        self.seconds_offline = SECONDS_TO_REBOOT / self.speed
        if self.socket is not None:
            await self.socket.close(1001)

    def lose_connection(self, seconds: float) -> None:
        """Drop the network without a word, for `seconds`."""
        self.seconds_offline = seconds
        if self.socket is not None:
            self.socket.transport.abort()

    async def tick_forever(self) -> None:
        """Let time pass for meters, reservations and heartbeats."""
        last = self.time()
        while True:
            await asyncio.sleep(max(0.2, 1 / self.speed))
            seconds, last = self.time() - last, self.time()
            for connector in self.connectors:
                connector.tick(seconds)
            self._beat()
            self._send_aligned_values()

    def _beat(self) -> None:
        interval = self.configuration.integer("HeartbeatInterval")
        if self.is_online and interval and self.time() - self._last_heartbeat >= interval:
            self._last_heartbeat = self.time()
            self.post(call.Heartbeat)

    def _send_aligned_values(self) -> None:
        interval = self.configuration.integer("ClockAlignedDataInterval")
        if not interval:
            return
        previous, self._aligned_slot = self._aligned_slot, int(now().timestamp() // interval)
        if previous and previous != self._aligned_slot:
            for connector in self.connectors:
                connector.send_meter_values("Sample.Clock")
