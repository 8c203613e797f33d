"""The WebSocket door: who may come in meets their consumer, everybody else an HTTP status."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from django.db import Error

from chargepoints.models import ChargePoint

from . import metrics
from .consumers import ChargePointConsumer
from .handshake import Knock, Refused, identity_of
from .journal import journal
from .log_fields import bound
from .porter import porter

logger = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


async def charge_point_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The ASGI application of every WebSocket; its server offers `dynamo.text`, to write frames from callbacks."""
    await receive()  # websocket.connect
    journal.start()
    knock = Knock.of(scope)
    try:
        row = await porter.admit(knock)
        knock.forget_credentials()
        consumer = ChargePointConsumer(row, knock, receive, send, scope["extensions"]["dynamo.text"]["write"])
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
