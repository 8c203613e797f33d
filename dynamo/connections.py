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
        """Whether nothing must go first, and the loop, where it has written, has nobody to ask for more or to close."""
        if not self.connected or self.disconnecting or self._aborting or self._writeDisconnected:
            return False
        return not self.dataBuffer and not self._tempDataLen and (self.producer is None or self.streamingProducer)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Write all that is written meanwhile as one, whatever fails; within another, that one writes it."""
        if self.gathered is not None:
            yield
            return
        gathered = self.gathered = []
        try:
            yield
        finally:
            self.gathered = None
            self.write(b"".join(gathered))
