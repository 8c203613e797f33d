"""The WebSocket door: who may come in meets their consumer, everybody else an HTTP status."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import Error

from chargepoints.database import in_database
from chargepoints.models import ChargePoint

from . import metrics
from .consumers import ChargePointConsumer
from .handshake import Knock, Refused, admit, identity_of
from .journal import journal
from .log_fields import bound

logger = logging.getLogger(__name__)

ADMITTING_THREADS = 2
# Ten to twenty seconds of work: charge points give up on a handshake after thirty.
MAXIMUM_WAITING = 1000
# Not all of them in the same second.
RETRY_SECONDS = (10, 40)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Porter:
    """Takes handshakes to the database one by one, so that who is in already need not queue behind who comes.

    After a power cut everybody comes at once: those for whom the wait would be too long are asked to come again.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(ADMITTING_THREADS, thread_name_prefix="database-door")
        self._waiting = 0
        metrics.handshakes.set_function(lambda: self._waiting)

    async def admit(self, knock: Knock) -> ChargePoint:
        if self._waiting >= MAXIMUM_WAITING:
            seconds = random.randint(*RETRY_SECONDS)
            raise Refused(503, "too many handshakes at once", (b"Retry-After", b"%d" % seconds))
        self._waiting += 1
        try:
            return await in_database(admit, knock, threads=self._threads)
        finally:
            self._waiting -= 1


porter = Porter()


async def charge_point_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The ASGI application of every WebSocket."""
    await receive()  # websocket.connect
    journal.start()
    knock = Knock.of(scope)
    try:
        consumer = ChargePointConsumer(await porter.admit(knock), knock, receive, send)
        with bound(charge_point=str(consumer.charge_point)):
            await consumer.connect()
    except ChargePoint.DoesNotExist:  # deleted while it knocked
        await deny(send, Refused(404, "unknown identity"))
        return
    except Refused as refused:
        note_refusal(knock, refused)
        await deny(send, refused)
        return
    except Error as error:
        logger.warning("A handshake could not be completed: %s", error)
        await deny(send, Refused(503, "database unavailable", (b"Retry-After", b"5")))
        return
    with bound(charge_point=str(consumer.charge_point)):
        await consumer.serve()


def note_refusal(knock: Knock, refused: Refused) -> None:
    """Let operations staff see who was refused, and why."""
    try:
        identity = identity_of(knock.path)
    except Refused:
        identity = ""
    logger.info("Refused %r from %s with %d: %s", identity, knock.address, refused.status, refused.reason)
    path = knock.path.decode("latin-1").replace("\x00", "")
    protocols = ", ".join(knock.protocols).replace("\x00", "")
    journal.refusal(
        identity=identity,
        address=knock.address,
        reason=refused.reason,
        path=path[:300],
        protocols=protocols[:200],
    )


async def deny(send: Send, refused: Refused) -> None:
    """Answer the handshake with an HTTP status (the ASGI extension `websocket.http.response`)."""
    metrics.refused.labels(refused.reason).inc()
    headers = [*refused.headers, (b"Content-Type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": f"{refused.reason}\n".encode()})
