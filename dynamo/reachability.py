"""Looks whether the services are there before a command starts, to say in one sentence which is not."""

from __future__ import annotations

from django.conf import settings
from django.core.management import CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

SECONDS = 5


def require_services() -> None:
    """Raise CommandError unless the database and, where it is used, Redis answer."""
    if connection.vendor == "postgresql":
        require_postgresql()
    else:
        require_sqlite()
    for url in settings.CHANNEL_LAYERS["default"]["CONFIG"].get("hosts", []):
        require_redis(url)


def require_postgresql() -> None:
    """Connect once, beside the pool, and tell the server's own reason."""
    import psycopg

    options = {**connection.get_connection_params(), "connect_timeout": SECONDS}
    try:
        psycopg.connect(**options).close()
    except psycopg.OperationalError as error:
        why = first_line(error).removeprefix("connection failed: ")
        raise CommandError(f"The database of DATABASE_URL cannot be used: {why}.") from None


def require_sqlite() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM sqlite_master")
    except DatabaseError as error:
        name = settings.DATABASES["default"]["NAME"]
        raise CommandError(f"The database {name} cannot be used: {first_line(error)}.") from None


def require_redis(url: str) -> None:
    import redis

    client = redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
    try:
        client.ping()
    except redis.RedisError as error:
        raise CommandError(f"The Redis of REDIS_URL cannot be used: {first_line(error)}.") from None
    finally:
        client.close()


def is_alone() -> bool:
    """Whether no other process can take part: on SQLite, or with the channel layer in memory."""
    return connection.vendor == "sqlite" or is_layer_in_memory()


def is_layer_in_memory() -> bool:
    """Whether commands reach only the charge points of their own process."""
    return str(settings.CHANNEL_LAYERS["default"]["BACKEND"]).endswith("InMemoryChannelLayer")


def require_migrations() -> None:
    missing = unapplied_migrations()
    if missing:
        raise CommandError(f"{missing} migrations are not applied: run `python3 manage.py migrate` first.")


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")


def unapplied_migrations() -> int:
    """How many migrations of this release the database lacks."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
