"""Refuses a process beside others that could not know of it. A claim ends with its process, however it ends.

On PostgreSQL it ends with the server's restart, too, and is not made again: later processes are let in beside this one.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.db import connection

from .reachability import is_layer_in_memory

SECONDS = 3
ADVISORY_LOCK = int.from_bytes(b"dynamo")
# So that the claim of a machine that lost its power ends, too.
KEEPALIVES = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"

_claims: list[Any] = []


def claim_services() -> None:
    """Refuse a second process where the first could not know of it: on SQLite, or if one has its layer in memory."""
    if connection.vendor == "postgresql":
        claim_database()
    else:
        claim_data_folder()


def claim_database() -> None:
    """Share the database with processes that all have Redis; with the layer in memory, have it alone."""
    import psycopg

    lock = "pg_advisory_lock" if is_layer_in_memory() else "pg_advisory_lock_shared"
    params = connection.get_connection_params()
    params["options"] = f"{params.get('options', '')} {KEEPALIVES} -c lock_timeout={SECONDS}s"
    claim = psycopg.connect(**{**params, "autocommit": True})
    try:
        claim.execute(f"SELECT {lock}(%s)", [ADVISORY_LOCK])
    except psycopg.errors.LockNotAvailable:
        claim.close()
        raise CommandError(
            "Another process runs on the database of DATABASE_URL, and one of the two has no REDIS_URL: give both the "
            "same, or this one a database of its own."
        ) from None
    _claims.append(claim)


def claim_data_folder() -> None:
    handle = os.open(settings.DATA_DIR / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise CommandError(
            f"Another server runs on {settings.DATA_DIR}. Set DATABASE_URL and REDIS_URL to run several on one "
            f"database, or give this one a folder of its own (DYNAMO_DATA_DIR)."
        ) from None
    _claims.append(handle)


def refuse_debug(host: str) -> None:
    """Refuse to show error pages, which tell secrets, to other machines."""
    if settings.DEBUG and not is_loopback(host):
        raise CommandError(f"DYNAMO_DEBUG shows secrets on error pages: switch it off to listen on {host}.")


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
