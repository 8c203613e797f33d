from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False)
class Entry:
    """A CALL that waits for its turn; `build` makes its payload at the last moment, when transaction ids are known."""

    build: Callable[[], Any]
    on_answer: Callable[[Any], None] | None = None
    kept: bool = False
    attempts: int = 0
    answer: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def finish(self, answer: Any) -> None:
        # Before the next entry is built, which may need the transaction id in this answer.
        if self.on_answer is not None:
            self.on_answer(answer)
        if not self.answer.done():
            self.answer.set_result(answer)


class Outbox:
    """The CALLs of a charge point, in the order in which they happened.

    Those about transactions are kept until they are answered, over lost connections and reboots
    (OCPP 1.6 section 3.7.1); the others are of no use later and go with the connection.
    """

    def __init__(self) -> None:
        self._urgent: deque[Entry] = deque()
        self._entries: deque[Entry] = deque()
        self._changed = asyncio.Event()
        self._held = False

    def __len__(self) -> int:
        return len(self._urgent) + len(self._entries)

    def put(self, entry: Entry, urgent: bool = False) -> None:
        (self._urgent if urgent else self._entries).append(entry)
        self._changed.set()

    async def head(self, only_urgent: Callable[[], bool]) -> Entry:
        """Wait for the entry that must be sent next; it stays in until `finish`."""
        while True:
            self._changed.clear()
            if self._urgent and not self._held:
                return self._urgent[0]
            if self._entries and not self._held and not only_urgent():
                return self._entries[0]
            await self._changed.wait()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Send nothing meanwhile."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._changed.set()

    def wake(self) -> None:
        """Let `head` look again: what it may send has changed."""
        self._changed.set()

    def finish(self, entry: Entry, answer: Any) -> None:
        """Take an entry out: it has its answer, or None where there will be none."""
        for entries in (self._urgent, self._entries):
            if entry in entries:
                entries.remove(entry)
        entry.finish(answer)
        self._changed.set()

    def forget(self) -> None:
        """The connection is gone: let go of all that is not kept."""
        for entry in [*self._urgent, *self._entries]:
            if not entry.kept:
                self.finish(entry, None)

    async def drained(self, timeout: float) -> None:
        """Wait until all is answered, at most `timeout` seconds."""
        waiting = [entry.answer for entry in [*self._urgent, *self._entries]]
        if waiting:
            await asyncio.wait(waiting, timeout=timeout)
