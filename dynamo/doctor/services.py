"""The database, Redis, and their clocks."""

from __future__ import annotations

import importlib.metadata
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.db import connection

from dynamo.reachability import SECONDS, first_line, require_postgresql, require_sqlite, unapplied_migrations

from .findings import Finding, fine, judge, note, wrong

SKEW_SECONDS = 2
POSTGRESQL = 140_000
REDIS = 6
# What a process keeps besides its pool: the claim that it makes at its start.
BESIDE_POOL = 1
PUBSUB_BYTES = 8 * 1024 * 1024
# channels-redis, redis-py: the pair takes no word from Redis that was not asked for, or closes idle sockets.
BAD_PAIR = ("4.3", 8)


def look() -> Iterator[Finding]:
    yield look_at_clients()
    yield from look_at_database()
    for url in settings.CHANNEL_LAYERS["default"]["CONFIG"].get("hosts", []):
        yield from look_at_redis(url)


def look_at_database() -> Iterator[Finding]:
    is_postgresql = connection.vendor == "postgresql"
    try:
        require_postgresql() if is_postgresql else require_sqlite()
    except CommandError as error:
        yield wrong(f"database: {error}")
        return
    yield from look_at_postgresql() if is_postgresql else look_at_sqlite()
    missing = unapplied_migrations()
    yield judge(not missing, "database: every migration is applied", f"database: {missing} migrations are not applied")


def look_at_clients() -> Finding:
    layer, client = (importlib.metadata.version(name) for name in ("channels-redis", "redis"))
    is_bad = layer.startswith(BAD_PAIR[0]) and int(client.split(".")[0]) >= BAD_PAIR[1]
    pair = f"channels-redis {layer} with redis {client}"
    return judge(not is_bad, f"clients: {pair}", f"clients: {pair} hears nothing: install redis 7")


def look_at_sqlite() -> Iterator[Finding]:
    yield fine(f"database: SQLite {sqlite3.sqlite_version} in {settings.DATABASES['default']['NAME']}")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        (said,) = cursor.fetchone()
    yield judge(said == "ok", "database: its pages are whole", f"database: it is damaged: {said}")


def look_at_postgresql() -> Iterator[Finding]:
    """On a connection beside the pool, which has only so many seconds to come about."""
    import psycopg

    with psycopg.connect(**{**connection.get_connection_params(), "connect_timeout": SECONDS}) as server:
        version = server.info.server_version
        name = f"PostgreSQL {version // 10_000}.{version % 10_000}"
        yield judge(version >= POSTGRESQL, f"database: {name} answers", f"database: {name} is older than 14")
        yield look_at_connections(lambda query: server.execute(query).fetchone())
        yield from look_at_durability(lambda query: server.execute(query).fetchone())
        yield skew("the database", lambda: server.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone())


def look_at_connections(ask: Callable[[str], Any]) -> Finding:
    """Whether the pools of some processes fit into what the server grants."""
    granted = "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    (most,) = ask(granted)
    each = settings.DYNAMO_DATABASE_POOL + BESIDE_POOL
    count = most // each
    text = f"database: {most} connections are enough for {count} processes of up to {each} (DYNAMO_DATABASE_POOL)"
    if count >= 3:
        return fine(text)
    return note(text) if count else wrong(text)


def look_at_durability(ask: Callable[[str], Any]) -> Iterator[Finding]:
    for name in ("fsync", "synchronous_commit"):
        (value,) = ask(f"SELECT current_setting('{name}')")
        if value == "off":
            yield wrong(f"database: {name} is off: a crash loses what charge points were told is stored")
    (is_standby,) = ask("SELECT pg_is_in_recovery()")
    if is_standby:
        yield wrong("database: it is a standby, which nothing can be written to")


def look_at_redis(url: str) -> Iterator[Finding]:
    import redis

    client: Any = redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
    try:
        version = client.info("server")["redis_version"]
        new_enough = int(version.split(".")[0]) >= REDIS
        yield judge(new_enough, f"Redis: {version} answers", f"Redis: {version} is older than {REDIS}")
        yield skew("Redis", lambda: (sum(part / 10**place for part, place in zip(client.time(), (0, 6), strict=True)),))
        yield from look_at_limits(client)
    except redis.ResponseError as error:
        yield note(f"Redis: it does not let its settings be looked at: {first_line(error)}")
    except redis.RedisError as error:
        yield wrong(f"Redis: {first_line(error)}")
    finally:
        client.close()


def look_at_limits(client: Any) -> Iterator[Finding]:
    """Memory that evicts what limits logins, and buffers that hang up on a busy worker."""
    most = int(client.config_get("maxmemory")["maxmemory"])
    policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    if most and policy != "noeviction":
        yield note(f"Redis: with {policy} it forgets failed logins when its {most // 2**20} MiB are full")
    limits = client.config_get("client-output-buffer-limit")["client-output-buffer-limit"].split()
    hard = int(limits[limits.index("pubsub") + 1])
    limit = f"Redis: it hangs up on a worker that is {hard // 1024} KiB behind"
    advice = "set client-output-buffer-limit pubsub to 32mb 8mb 60"
    yield judge(
        not hard or hard >= PUBSUB_BYTES, limit if hard else "Redis: it waits for workers", f"{limit}: {advice}"
    )


def skew(whose: str, ask: Callable[[], Any]) -> Finding:
    """How far a clock is from this machine's, read in the middle of the question."""
    before = time.time()
    (told,) = ask()
    seconds = float(told) - (before + time.time()) / 2
    text = f"clock: {whose} is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine"
    return judge(abs(seconds) <= SKEW_SECONDS, text, f"{text}: let both ask a time server")
