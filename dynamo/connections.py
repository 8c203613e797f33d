"""Connections of the server as Twisted makes them, but for when they write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from twisted.internet.tcp import Server


class EagerConnection(Server):
    """Gives the kernel at once what it takes.

    Twisted puts all off until the next turn of the loop, and has the kernel watch the socket for that and no longer
    watch it afterwards: three calls of the system for each answer instead of one.
    """

    gathered: list[bytes] | None = None

    def write(self, data: bytes) -> None:
        if self.gathered is not None:
            self.gathered.append(data)
            return
        if data and self.has_written_all():
            sent = self.writeSomeData(data)
            # What else it says, it will say again to the loop, which closes the connection.
            data = data[sent:] if isinstance(sent, int) else data
        super().write(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:  # noqa: N802  Twisted's name
        self.write(b"".join(iovec))

    def has_written_all(self) -> bool:
        """Whether nothing must go first, and nobody waits to be asked for more by the loop when it has written."""
        is_idle = self.connected and not self.dataBuffer and not self._tempDataLen and not self._writeDisconnected
        return bool(is_idle and (self.producer is None or self.streamingProducer))

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Write all that is written meanwhile as one."""
        self.gathered = []
        try:
            yield
        finally:
            gathered, self.gathered = self.gathered, None
            self.write(b"".join(gathered))
