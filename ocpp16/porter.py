"""Takes those who come to the database, many at once: after a power cut that is everybody."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from chargepoints.database import Together, in_database
from chargepoints.models import ChargePoint

from . import metrics
from .handshake import Arrival, Knock, Refused, admit
from .models import Command
from .outgoing import WINDOW

BATCH = 32
# Some ten seconds of work: charge points give up on a handshake after thirty.
MAXIMUM_WAITING = 2000
# Not all of them in the same second.
RETRY_SECONDS = (10, 40)


@dataclass(eq=False)
class Registration:
    """A socket that is to speak for its charge point."""

    charge_point_id: int
    channel_name: str
    address: str
    # The channel that it replaces, or ''; None as long as it is not registered.
    replaced: str | None = None
    # How many seconds ago the latest CALLs left for the charge point.
    ages: list[float] = field(default_factory=list)


class Porter:
    """Asks in one thread, so that who is in already need not queue behind who comes.

    Those for whom the wait would be too long are asked to come again.
    """

    def __init__(self) -> None:
        thread = ThreadPoolExecutor(1, thread_name_prefix="database-door")
        self._admitting = Together(admit, thread, BATCH)
        self._registering = Together(register_together, ThreadPoolExecutor(1, "database-register"), BATCH)
        self._waiting = 0
        metrics.handshakes.set_function(lambda: self._waiting)

    async def admit(self, knock: Knock) -> ChargePoint:
        """The charge point that may come in; raises Refused for everybody else."""
        if self._waiting >= MAXIMUM_WAITING:
            seconds = random.randint(*RETRY_SECONDS)
            raise Refused(503, "too many handshakes at once", (b"Retry-After", b"%d" % seconds))
        self._waiting += 1
        arrival = Arrival(knock)
        try:
            await self._admitting.do(arrival)
        finally:
            self._waiting -= 1
        if isinstance(arrival.outcome, ChargePoint):
            return arrival.outcome
        raise arrival.outcome

    async def register(self, registration: Registration) -> None:
        """Have the socket take over its charge point; raises ChargePoint.DoesNotExist where that is gone."""
        await self._registering.do(registration)
        if registration.replaced is None:  # its row is held by somebody
            await in_database(register, [registration], True)
        if registration.replaced is None:
            raise ChargePoint.DoesNotExist


def register_together(registrations: list[Registration]) -> None:
    register(registrations, False)


def register(registrations: list[Registration], patiently: bool) -> None:
    ages = Command.objects.sent_within({each.charge_point_id for each in registrations}, WINDOW)
    sockets = [(each.charge_point_id, each.channel_name, each.address) for each in registrations]
    replaced = ChargePoint.objects.connect(sockets, patiently=patiently)
    for each in registrations:
        each.ages = ages.get(each.charge_point_id, [])
        each.replaced = replaced.get(each.channel_name)


porter = Porter()
