"""Database work off the event loop, for one socket or request or for many sockets at once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import Error, close_old_connections, connection, models
from prometheus_client import Counter, Gauge, Histogram

from apikeys.statements import places, this_connection

logger = logging.getLogger(__name__)

T = TypeVar("T")

working = Gauge(
    "dynamo_database_work", "Database work of sockets and of the API that waits for a thread or is being done."
)
waited = Histogram(
    "dynamo_database_wait_seconds", "How long database work of sockets and of the API waited for a thread."
)
failures = Counter("dynamo_database_failures", "Database work of sockets and of the API that failed.", ["error"])

# Thread sensitivity is decided here, once: `database_sync_to_async` outside a request would put every socket of
# the process behind one thread. These threads are only ever ours, so nothing in them expects the main thread.
_threads = ThreadPoolExecutor(settings.DYNAMO_DATABASE_THREADS, thread_name_prefix="database")
# Leases must not run out behind a storm of handshakes.
upkeep_thread = ThreadPoolExecutor(1, thread_name_prefix="database-upkeep")


async def in_database(function: Callable[..., T], *args: Any, threads: ThreadPoolExecutor = _threads) -> T:
    """Run `function` in a thread of the pool that sockets share, or of `threads`, and hand its connection back."""
    with working.track_inprogress():
        return await _in_thread(threads, function, *args)


async def _in_thread(threads: ThreadPoolExecutor, function: Callable[..., T], *args: Any) -> T:
    # Log lines that are written there belong to the same request, charge point and message.
    run = partial(copy_context().run, _run, time.monotonic(), function, *args)
    return await asyncio.get_running_loop().run_in_executor(threads, run)


# Below this, a COPY takes longer to begin than it saves.
WORTH_COPYING = 5
# How long a small batch may wait for the one before it.
PATIENCE_SECONDS = 0.05
# Those who are answered together ask again together: after a batch of so many, the next waits for them all, but no
# longer than that. One batch of them all takes a quarter less than two that take turns.
CROWD, GATHER_SECONDS = 4, 0.005


# What is called when the work is done, with why it failed, if it did.
Then = Callable[[BaseException | None], None]
Batch = list[tuple[T, Then]]


class Together(Generic[T]):
    """Does one kind of work for all who ask meanwhile: a thread and a transaction for many, not for each.

    `work` takes a batch and notes on each of its members what came of it; what it raises is raised to all of them.
    """

    def __init__(self, work: Callable[[list[T]], None], threads: ThreadPoolExecutor, size: int) -> None:
        self._work, self._threads, self._size = work, threads, size
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_called = False

    async def do(self, member: T) -> None:
        """Have the work done for it, with all that the same turn of the loop brings, or later."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ask(member, partial(_settle, done))
        await done

    def ask(self, member: T, then: Then) -> None:
        """The same for who need not wait for it, which takes a task less."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._start_anew(loop)
        self._waiting.append((member, then))
        working.inc()
        if not self._is_called:
            self._is_called = True
            loop.call_soon(self._begin_called)

    def _start_anew(self, loop: asyncio.AbstractEventLoop) -> None:
        """Forget the loop before this one: what it has left waits for nothing, and does not end here."""
        self._loop = loop
        self._waiting: deque[tuple[T, Then]] = deque()
        self._running: set[object] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._awaited, self._gathering_until = 0, 0.0
        self._is_called = False

    def _begin_called(self) -> None:
        self._is_called = False
        self._begin()

    def _begin(self, *, is_late: bool = False) -> None:
        """Begin a batch; a small one not yet where there may soon be more."""
        if len(self._running) == self._threads._max_workers or not self._waiting:
            return
        if not is_late and (moment := self._better_at()) > 0:
            self._begin_at(moment)
            return
        if self._timer is not None:
            self._timer.cancel()  # it was for those who are taken now
            self._timer = None
        batch = [self._waiting.popleft() for _ in range(min(self._size, len(self._waiting)))]
        token = object()
        self._running.add(token)
        # In nobody's name. A task would take two more turns of the loop.
        work = partial(self._run, token, batch, asyncio.get_running_loop(), time.monotonic())
        try:
            self._threads.submit(Context().run, work)
        except RuntimeError as error:  # the interpreter ends
            asyncio.get_running_loop().call_soon(self._end, token, batch, error)
        self._begin()

    def _better_at(self) -> float:
        """Until when those who wait had better do so; 0 where they are many, or no more are awaited."""
        if len(self._waiting) >= self._size // 2:
            return 0
        now = asyncio.get_running_loop().time()
        if self._running:
            return now + PATIENCE_SECONDS  # its end begins the next
        return self._gathering_until if self._gathering_until > now and len(self._waiting) < self._awaited else 0

    def _begin_at(self, moment: float) -> None:
        def begin() -> None:
            self._timer = None
            self._begin(is_late=True)

        if self._timer is not None:
            if self._timer.when() <= moment:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, begin)

    def _run(self, token: object, batch: Batch[T], loop: asyncio.AbstractEventLoop, asked_at: float) -> None:
        """In a thread."""
        failure: BaseException | None = None
        try:
            _run(asked_at, self._work, [member for member, _ in batch])
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._end, token, batch, failure, context=Context())

    def _end(self, token: object, batch: Batch[T], failure: BaseException | None) -> None:
        self._running.discard(token)
        if len(batch) >= CROWD:
            self._awaited = len(batch) + len(self._waiting)
            self._gathering_until = asyncio.get_running_loop().time() + GATHER_SECONDS
        working.dec(len(batch))
        self._begin()
        for _, then in batch:
            try:
                then(failure)
            except Exception:
                logger.exception("What was done cannot be told")


def _settle(done: asyncio.Future[None], failure: BaseException | None) -> None:
    if not done.done():  # else nobody waits any more
        done.set_exception(failure) if failure is not None else done.set_result(None)


# Begun so on SQLite, a transaction holds up no writer; `atomic` would.
SNAPSHOT = {"postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "sqlite": "BEGIN DEFERRED"}


@contextmanager
def snapshot() -> Iterator[None]:
    """Have all that is read within be of one moment; inside a transaction it is as that has it."""
    if connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute(SNAPSHOT[connection.vendor])
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def insert_rows(rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Insert these fields of rows of one model; the others have their defaults of the database."""
    fields: list[Any] = [rows[0]._meta.get_field(name) for name in names]
    database = this_connection()
    values = [[field.get_db_prep_save(getattr(row, field.attname), database) for field in fields] for row in rows]
    insert(type(rows[0]), [field.column for field in fields], values)


def insert(model: type[models.Model], columns: Sequence[str], rows: Sequence[Any], types: Sequence[str] = ()) -> None:
    """Insert many rows of plain values at a third of what the ORM's bulk_create takes.

    PostgreSQL is sent them as text, or as its binary values of `types`, which takes the driver a quarter of the time:
    every number must be known to fit its type then, for a greater one would become another.
    """
    quoted = ", ".join(map(connection.ops.quote_name, columns))
    target = f"{connection.ops.quote_name(model._meta.db_table)} ({quoted})"
    row_places = f"({places(columns)})"
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.executemany(f"INSERT INTO {target} VALUES {row_places}", rows)  # noqa: S608  names of our own
            return
        if len(rows) < WORTH_COPYING:
            # One statement: psycopg's executemany breaks where a row is refused at the commit.
            values = [value for row in rows for value in row]
            cursor.execute(f"INSERT INTO {target} VALUES {', '.join([row_places] * len(rows))}", values)  # noqa: S608
            return
        # Django's cursor passes `copy` on as it is, and what fails in it would be no error of Django's.
        statement = f"COPY {target} FROM STDIN {'(FORMAT BINARY)' if types else ''}"
        with connection.wrap_database_errors, cursor.copy(statement) as copy:
            if types:
                copy.set_types(types)
            for row in rows:
                copy.write_row(row)


def update(model: type[models.Model], columns: Sequence[str], rows: list[Any]) -> None:
    """Update many rows, each told by its values and, behind them, its primary key, at a fifth of the ORM's cost."""
    quote = connection.ops.quote_name
    values = ", ".join(f"{quote(column)} = %s" for column in columns)
    table, key = quote(model._meta.db_table), quote(str(model._meta.pk.column))
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {table} SET {values} WHERE {key} = %s", rows)  # noqa: S608  names of our own


def _run(asked_at: float, function: Callable[..., T], *args: Any) -> T:
    waited.observe(time.monotonic() - asked_at)
    try:
        return function(*args)
    except Error as error:
        failures.labels(type(error).__name__).inc()
        raise
    finally:
        close_old_connections()
