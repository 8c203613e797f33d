"""Whether the process serves, and whether it can do its work: for load balancers and orchestrators."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError, close_old_connections, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from redis import RedisError

from .reachability import unapplied_migrations

logger = logging.getLogger(__name__)

SECONDS = 2
READY = "ready"
NO_ANSWER = f"no answer within {SECONDS} seconds"

# Of their own, so that probes neither wait behind the sockets' work nor take its threads when the database hangs.
_threads = ThreadPoolExecutor(2, thread_name_prefix="health")
_migrated = False


@never_cache
async def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok", content_type="text/plain")


@never_cache
async def readyz(request: HttpRequest) -> JsonResponse:
    """200, or 503 with the reason for each thing that is not ready."""
    (database, migrations), layer = await asyncio.gather(database_checks(), channel_layer_check())
    checks = {"database": database, "channel_layer": layer, "migrations": migrations}
    is_ready = all(state == READY for state in checks.values())
    body = {"status": READY if is_ready else "unavailable", "checks": checks}
    return JsonResponse(body, status=200 if is_ready else 503)


async def database_checks() -> tuple[str, str]:
    """The states of the database and of its migrations."""
    check: Any = sync_to_async(look_at_database, thread_sensitive=False, executor=_threads)
    try:
        return await asyncio.wait_for(check(), SECONDS)
    except TimeoutError:
        return NO_ANSWER, "unknown"


def look_at_database() -> tuple[str, str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return READY, migrations_state()
    except DatabaseError as error:
        # The reason stays in the log: drivers name hosts and users in it.
        logger.warning("readyz: the database does not answer: %s", error)
        return "cannot be reached", "unknown"
    finally:
        close_old_connections()


def migrations_state() -> str:
    """Asked until they are applied: from then on this release never needs another."""
    global _migrated
    missing = 0 if _migrated else unapplied_migrations()
    _migrated = not missing
    return f"{missing} not applied" if missing else READY


async def channel_layer_check() -> str:
    """Whether a message that is sent through the channel layer arrives."""
    try:
        await asyncio.wait_for(round_trip(), SECONDS)
    except TimeoutError:
        return NO_ANSWER
    except (OSError, RedisError) as error:
        logger.warning("readyz: the channel layer does not answer: %s", error)
        return "cannot be reached"
    return READY


async def round_trip() -> None:
    layer = get_channel_layer()
    assert layer is not None
    channel = await layer.new_channel()
    try:
        await layer.send(channel, {"type": "readyz"})
        await layer.receive(channel)
    finally:
        await forget(layer, channel)


async def forget(layer: Any, channel: str) -> None:
    """Let go of a channel: Redis layers unsubscribe when a wait for it is cancelled, and at no other time."""
    waiting = asyncio.ensure_future(layer.receive(channel))
    await asyncio.sleep(0)  # it begins to wait
    waiting.cancel()
    await asyncio.wait([waiting])
