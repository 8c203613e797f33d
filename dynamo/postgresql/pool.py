"""The connections to PostgreSQL that the threads of a process share."""

from __future__ import annotations

import logging
import select
from collections import deque
from collections.abc import Callable
from threading import Condition, RLock, Thread
from time import monotonic
from typing import NamedTuple
from weakref import WeakSet

from prometheus_client import Counter, Gauge, Histogram
from psycopg import Connection, Error, OperationalError
from psycopg.errors import ConnectionTimeout
from psycopg.pq import TransactionStatus

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
LIFE_SECONDS = 3600
IDLE_SECONDS = 600
# What one has found out holds so long for all that ask.
ASKED_SECONDS = 0.5

living = Gauge("dynamo_database_connections", "Open connections to PostgreSQL.")
idle = Gauge("dynamo_database_connections_idle", "Connections that nobody uses.")
waited = Histogram("dynamo_database_pool_wait_seconds", "How long it took to get a connection, or to be told no.")
failed = Counter("dynamo_database_connections_failed", "Attempts to connect to PostgreSQL that failed.")
exhausted = Counter("dynamo_database_pool_exhausted", "Requests that got no connection in time.")


class Idle(NamedTuple):
    connection: Connection
    since: float


class Pool:
    """Lends connections that work. While the database is away it says so at once, and keeps looking for it.

    psycopg's own pool lets every caller wait for a database that is away, and looks for it ever more rarely.
    """

    close_returns = False  # of psycopg: closing a connection that is lent closes it

    def __init__(self, connect: Callable[[], Connection], max_size: int, timeout: float) -> None:
        self.connect, self.max_size, self.timeout = connect, max_size, timeout
        self._idle: deque[Idle] = deque()
        # Weakly: what its thread lost without giving it back makes room for another.
        self._lent: WeakSet[Connection] = WeakSet()
        self._changed = Condition()
        self._connecting = 0
        self._failure: Error | None = None
        self._pause_until = 0.0
        self._is_closed = False
        self._asking = RLock()  # who knocks may be left standing, and ask
        self._silence: ConnectionTimeout | None = None
        self._asked_at = -ASKED_SECONDS
        living.set_function(self._living)
        idle.set_function(lambda: len(self._idle))

    def _living(self) -> int:
        return len(self._idle) + len(self._lent)

    def open(self) -> None:
        """Django calls this before it borrows."""

    def getconn(self) -> Connection:
        """Borrow a connection; raises OperationalError where none can be had."""
        deadline = monotonic() + self.timeout
        with waited.time():
            while True:
                connection = self._take(deadline) or self._make()
                if connection is None:
                    continue
                if is_usable(connection):
                    connection._pool = self  # type: ignore[assignment]
                    return connection
                self._discard(connection)

    def putconn(self, connection: Connection) -> None:
        """Give a connection back."""
        connection._pool = None
        now = monotonic()
        is_idle = connection.pgconn.transaction_status == TransactionStatus.IDLE
        with self._changed:
            if self._is_closed or not is_idle or now > connection._expire_at:
                unused: Connection | None = connection
            else:
                self._lent.discard(connection)
                self._idle.append(Idle(connection, now))
                self._changed.notify()
                unused = self._idle.popleft().connection if now - self._idle[0].since > IDLE_SECONDS else None
        if unused is not None:
            self._discard(unused)

    def ask(self) -> None:
        """Raise OperationalError where the server does not say a word to who comes: nor will it to who waits."""
        with self._asking:
            if self._silence is None and monotonic() - self._asked_at > ASKED_SECONDS:
                self._knock()
                self._asked_at = monotonic()
        if self._silence is not None:
            raise OperationalError(f"no answer: {self._silence}")

    def _knock(self) -> None:
        try:
            self.connect().close()
        except ConnectionTimeout as error:
            self._fall_silent(error)
        except Error as error:
            logger.info("PostgreSQL lets nobody in, but lives: %s", error)

    def _fall_silent(self, error: ConnectionTimeout) -> None:
        """Refuse everybody at once from now on, until the server speaks again."""
        with self._changed:
            if self._silence is not None or self._is_closed:
                return
            self._silence = error
            unused = [idle.connection for idle in self._idle]
            self._idle.clear()
            self._changed.notify_all()
        for connection in unused:
            self._discard(connection)
        Thread(target=self._listen, name="database-silence", daemon=True).start()

    def _listen(self) -> None:
        """Wait for a word of the server: one that is thawed takes who has been waiting at its door."""
        while not self._is_closed:
            try:
                self.connect().close()
            except ConnectionTimeout:
                continue
            except Error as error:
                logger.info("PostgreSQL speaks again: %s", error)
            break
        self._silence = None

    def close(self) -> None:
        """Close what is idle, and what is lent when it comes back."""
        with self._changed:
            self._is_closed = True
            unused = [idle.connection for idle in self._idle]
            self._idle.clear()
        for connection in unused:
            self._discard(connection)

    def _take(self, deadline: float) -> Connection | None:
        """The idle connection that was used last; None where the caller is to make one."""
        with self._changed:
            while not self._idle:
                if self._silence is not None:
                    raise OperationalError(f"no connection: {self._silence}")
                if self._may_connect():
                    self._connecting += 1
                    return None
                if self._failure is not None:
                    # Others may yet give one back, if it is only that the server lets no more in.
                    deadline = min(deadline, monotonic() + PAUSE_SECONDS) if self._living() else 0
                seconds = deadline - monotonic()
                if seconds <= 0:
                    exhausted.inc()
                    raise OperationalError(f"no connection: {self._failure or 'all are in use'}")
                self._changed.wait(seconds)
            connection = self._idle.pop().connection
            self._lent.add(connection)
            return connection

    def _may_connect(self) -> bool:
        """Whether there is room; after a failure one caller tries, a moment later, and nobody waits for it."""
        if self._failure is not None and (self._connecting or monotonic() < self._pause_until):
            return False
        return self._living() + self._connecting < self.max_size

    def _make(self) -> Connection | None:
        """A new connection; None where it failed, but others live that may be given back."""
        try:
            connection = self.connect()
        except BaseException as error:
            self._note(error)
            if isinstance(error, ConnectionTimeout):
                self._fall_silent(error)
            if self._living() and isinstance(error, Error):
                return None
            raise
        connection._expire_at = monotonic() + LIFE_SECONDS
        self._lent.add(connection)
        self._note(None)
        return connection

    def _note(self, failure: BaseException | None) -> None:
        """Note how an attempt to connect ended."""
        with self._changed:
            self._connecting -= 1
            failed.inc(failure is not None)
            self._failure = failure if isinstance(failure, Error) else None
            self._pause_until = monotonic() + PAUSE_SECONDS
            self._changed.notify_all()

    def _discard(self, connection: Connection) -> None:
        connection.close()
        with self._changed:
            self._lent.discard(connection)
            self._changed.notify_all()


def is_usable(connection: Connection) -> bool:
    """Whether the server still holds the connection; costs a round trip only where it has said something unasked."""
    readable = select.poll()
    try:
        readable.register(connection.fileno(), select.POLLIN)
        if readable.poll(0):
            connection.execute("")
    except Error:
        return False
    return True
