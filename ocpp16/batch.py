"""CALLs that are handled in one transaction of the database."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from chargepoints.models import IdTag, OutboxEvent, Transaction
from chargepoints.models.event import Happened
from chargepoints.models.transaction import Surroundings

from .models import Command

if TYPE_CHECKING:
    from .received import Received

T = TypeVar("T")
Store = Callable[[list["Received"]], None]


class Batch:
    """What these CALLs need to know is read for all of them at once, when the first asks; so is stored what can be."""

    def __init__(self) -> None:
        self.all: list[Received] = []
        self._later: dict[Store, list[Received]] = {}
        self._done: dict[Callable[[list[Received]], Any], Any] = {}
        self._started: list[Transaction] = []
        self._happened: list[Happened] = []

    def store_later(self, store: Store, received: Received) -> None:
        """Have `store` called with this and all others like it, before the commit."""
        self._later.setdefault(store, []).append(received)

    def once(self, do: Callable[[list[Received]], T]) -> T:
        """What `do` makes of all these CALLs, which is done when the first asks."""
        if do not in self._done:
            self._done[do] = do(self.all)
        return self._done[do]

    def started(self, transaction: Transaction) -> None:
        """Have a new transaction inserted with all others, before the commit."""
        self._started.append(transaction)

    def settle(self, is_met: Callable[[Transaction], bool] = lambda transaction: True) -> None:
        """Insert the new transactions now, if any is one that a message may meet."""
        if any(map(is_met, self._started)):
            Transaction.objects.insert(self._started)
            self._started = []

    def note(self, happened: Happened) -> None:
        """Have an event recorded with all others, before the commit."""
        self._happened.append(happened)

    @property
    def stores_several(self) -> bool:
        """Whether its CALLs are of several kinds, each of which is stored by itself."""
        return len(self._later) > 1

    def store(self) -> None:
        self.settle()
        for store, received in self._later.items():
            store(received)
        OutboxEvent.objects.record(self._happened)

    def id_tag(self, received: Received) -> IdTag | None:
        """The listed id tag that the message names."""
        return self._id_tags.get((received.charge_point.organization_id, received.text("idTag").upper()))

    @cached_property
    def _id_tags(self) -> dict[tuple[int, str], IdTag]:
        named = {
            (each.charge_point.organization_id, each.text("idTag")) for each in self.all if "idTag" in each.payload
        }
        return {(row.organization_id, row.id_tag.upper()): row for row in IdTag.objects.listed(named)}

    def remote_starts(self, received: Received, connector_id: int | None = None) -> list[Command]:
        """Those that asked for what this message tells, on that connector if both name one; newest first."""
        id_tag = received.text("idTag")
        recent = self._remote_starts.get(received.charge_point.pk, [])
        return [command for command in recent if command.means(id_tag, connector_id)]

    @cached_property
    def _remote_starts(self) -> dict[int, list[Command]]:
        found: dict[int, list[Command]] = {}
        for command in Command.objects.remote_starts({each.charge_point.pk for each in self.all}):
            found.setdefault(command.charge_point_id, []).append(command)
        return found

    @cached_property
    def surroundings(self) -> Surroundings:
        """What the starts among these messages may meet."""
        starts = [each for each in self.all if each.action == "StartTransaction"]
        return Transaction.objects.surroundings([(each.charge_point.pk, each.start_mark()) for each in starts])

    def transaction(self, number: int) -> Any:
        """The transaction that a StopTransaction names, whose ever it is, as of Transaction.objects.to_be_stopped."""
        return self._transactions.get(number)

    @cached_property
    def _transactions(self) -> dict[int, Transaction]:
        named = [each.payload["transactionId"] for each in self.all if each.action == "StopTransaction"]
        return {row.pk: row for row in Transaction.objects.to_be_stopped(named)}
