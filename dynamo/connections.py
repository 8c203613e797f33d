"""Connections of the server as Twisted makes them, but for how they read and when they write, watched by the kernel."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from twisted.internet.tcp import Server

# Seconds; the last in milliseconds: how long what we sent may stay unacknowledged. A ping is the last that we sent.
# No shorter than the first two together: Linux gave up idle peers that answered, where it was as long as the first.
KEEPALIVE = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 30_000}


def watch(connection: socket.socket) -> None:
    """Have the kernel find out about a peer that lost its power: many answer no pings."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if hasattr(socket, option):  # each system has its own
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class EagerConnection(Server):
    """Reads without ado, and gives the kernel at once what it takes.

    Twisted wraps each read in a context for its log, to which nobody writes. It puts writing off until the next turn of
    the loop, and has the kernel watch the socket for that and no longer watch it afterwards: three calls of the
    system for each answer instead of one.
    """

    gathered: list[bytes] | None = None

    def startReading(self) -> None:  # noqa: N802  Twisted's name
        super().startReading()
        # In place of what it has just had the loop call, which calls the same in that context.
        self.reactor._asyncioEventloop.add_reader(self.fileno(), self.reactor._readOrWrite, self, True)

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
