"""The pool of connections to PostgreSQL: what it lends works, and what cannot be had is refused at once."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dynamo.postgresql import pool as pools
from dynamo.postgresql.connection import PATIENCE_SECONDS, Connection
from dynamo.postgresql.pool import Pool

pytestmark = pytest.mark.skipif(not os.environ.get("DATABASE_URL"), reason="needs DATABASE_URL")

TIMEOUT = 0.3


class Server:
    """The way to PostgreSQL, which can be shut."""

    def __init__(self) -> None:
        self.is_shut = self.is_silent = False
        self.attempts = 0

    def connect(self) -> Connection:
        self.attempts += 1
        if self.is_silent:
            time.sleep(0.05)
            raise psycopg.errors.ConnectionTimeout("timeout expired")
        if self.is_shut:
            raise psycopg.OperationalError("connection refused")
        return Connection.connect(os.environ["DATABASE_URL"], autocommit=True)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def pool(server: Server) -> Iterator[Pool]:
    made = Pool(server.connect, 2, TIMEOUT)
    yield made
    made.close()


def borrow_later(pool: Pool) -> tuple[threading.Thread, list[Any]]:
    """Borrow in a thread; returns it and what it gets."""
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(pool.getconn()))
    thread.start()
    return thread, got


def test_lends_what_was_given_back(pool: Pool, server: Server) -> None:
    for _ in range(3):
        pool.putconn(pool.getconn())
    assert server.attempts == 1


def test_lends_no_more_than_it_may(pool: Pool, server: Server) -> None:
    lent = [pool.getconn(), pool.getconn()]
    with pytest.raises(psycopg.OperationalError):
        pool.getconn()
    assert server.attempts == 2
    for connection in lent:
        pool.putconn(connection)


@pytest.mark.filterwarnings("ignore:.*deleted while still open:ResourceWarning")
def test_makes_room_for_what_its_thread_lost(pool: Pool, server: Server) -> None:
    for _ in range(5):
        borrow_later(pool)[0].join(10)
        gc.collect()
    assert server.attempts == 5


def test_lends_to_who_waits_what_comes_back(server: Server) -> None:
    pool = Pool(server.connect, 1, 10)
    lent = pool.getconn()
    thread, got = borrow_later(pool)
    pool.putconn(lent)
    thread.join(10)
    assert got == [lent]
    pool.putconn(lent)
    pool.close()


def test_makes_another_where_the_server_hung_up(pool: Pool) -> None:
    broken, other = pool.getconn(), pool.getconn()
    pid = broken.info.backend_pid
    pool.putconn(broken)
    other.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    made = pool.getconn()
    assert made.execute("SELECT pg_backend_pid()").fetchone() != (pid,)
    for connection in (made, other):
        pool.putconn(connection)


def test_takes_back_nothing_in_the_middle_of_a_transaction(pool: Pool, server: Server) -> None:
    lent = pool.getconn()
    lent.execute("BEGIN")
    pool.putconn(lent)
    assert lent.closed
    pool.putconn(pool.getconn())
    assert server.attempts == 2


def test_asks_a_server_that_is_away_only_now_and_then(
    pool: Pool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PAUSE_SECONDS", 60)
    server.is_shut = True
    for _ in range(100):
        with pytest.raises(psycopg.OperationalError, match="refused"):
            pool.getconn()
    assert server.attempts == 1


def test_finds_a_server_that_came_back(pool: Pool, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "PAUSE_SECONDS", 0)
    server.is_shut = True
    with pytest.raises(psycopg.OperationalError):
        pool.getconn()
    server.is_shut = False
    pool.putconn(pool.getconn())
    assert server.attempts == 2


def test_waits_for_the_others_where_the_server_lets_no_more_in(
    pool: Pool, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PAUSE_SECONDS", 10)
    lent = pool.getconn()
    server.is_shut = True
    thread, got = borrow_later(pool)
    pool.putconn(lent)
    thread.join(10)
    assert got == [lent]
    pool.putconn(lent)


def test_waits_for_a_slow_statement_while_the_server_lives(pool: Pool, server: Server) -> None:
    lent = pool.getconn()
    lent.ask = pool.ask
    assert lent.execute("SELECT 1 FROM pg_sleep(%s)", [PATIENCE_SECONDS * 1.5]).fetchone() == (1,)
    assert server.attempts == 2
    pool.putconn(lent)


def test_gives_up_on_a_server_that_answers_nobody(pool: Pool, server: Server) -> None:
    lent, other = pool.getconn(), pool.getconn()
    pool.putconn(other)
    lent.ask, server.is_silent = pool.ask, True
    with pytest.raises(psycopg.OperationalError, match="no answer: timeout expired"):
        lent.execute("SELECT pg_sleep(60)")
    assert lent.closed
    assert other.closed
    pool.putconn(lent)


def test_waits_on_where_the_server_is_only_full(pool: Pool, server: Server) -> None:
    server.is_shut = True
    pool.ask()


def test_refuses_at_once_until_a_silent_server_speaks(server: Server) -> None:
    pool = Pool(server.connect, 3, 60)
    lent = pool.getconn()
    server.is_silent = True
    with pytest.raises(psycopg.OperationalError, match="no answer"):
        pool.ask()
    for _ in range(3):
        with pytest.raises(psycopg.OperationalError, match="no connection: timeout"):
            pool.getconn()
    server.is_silent = False
    deadline = time.monotonic() + 10
    while pool._silence is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    pool.putconn(pool.getconn())
    pool.putconn(lent)
    pool.close()


def test_asks_once_for_all_that_wait(pool: Pool, server: Server) -> None:
    for _ in range(5):
        pool.ask()
    assert server.attempts == 1
