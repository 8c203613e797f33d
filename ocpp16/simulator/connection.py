"""The line to the central system: dial, converse, dial again."""

from __future__ import annotations

import asyncio
import base64
from urllib.parse import quote

from ocpp.exceptions import OCPPError, UnknownCallErrorCodeError, ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from .charge_point import ChargePoint
from .conversation import Conversation
from .outbox import Entry
from .tasks import obey_cancellation, until_one_ends

# A connection that held this long was good: the next wait starts small again.
SECONDS_OF_A_GOOD_CONNECTION = 10.0


async def stay_connected(charge_point: ChargePoint) -> None:
    """Dial again and again, with waits that double, each with jitter, so that a fleet does not return at once."""
    wait = 1.0
    while True:
        begun = charge_point.time()
        charge_point.report(await _connection(charge_point))
        if charge_point.time() - begun > SECONDS_OF_A_GOOD_CONNECTION:
            wait = 1.0
        pause, charge_point.seconds_offline = charge_point.seconds_offline, None
        if pause is None:
            pause = wait * charge_point.random.uniform(0.5, 1.0)
            wait = min(wait * 2, charge_point.longest_wait)
        await asyncio.sleep(pause)


HINTS = {
    400: " (it speaks no ocpp1.6)",
    401: " (wrong password?)",
    404: " (unknown identity, or a wrong --url)",
    429: " (too many failures; wait a minute)",
}


async def _connection(charge_point: ChargePoint) -> str:
    """One connection from dialling to its end; returns how it ended."""
    try:
        async with _dial(charge_point) as socket:
            await _converse(charge_point, socket)
    except InvalidStatus as refusal:
        status = charge_point.refused_with = refusal.response.status_code
        return f"refused with HTTP {status}{HINTS.get(status, '')}"
    except (OSError, TimeoutError, WebSocketException) as error:
        return f"cannot connect: {error or type(error).__name__}"
    return "disconnected"


def _dial(charge_point: ChargePoint) -> connect:
    headers = {}
    if charge_point.password is not None:
        credentials = f"{charge_point.identity}:{charge_point.password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
    return connect(
        f"{charge_point.url.rstrip('/')}/{quote(charge_point.identity, safe='')}",
        subprotocols=[Subprotocol("ocpp1.6")],
        additional_headers=headers,
        user_agent_header=f"{charge_point.make.vendor}/{charge_point.firmware}",
        compression="deflate" if charge_point.make.compresses else None,
        ping_interval=charge_point.configuration.integer("WebSocketPingInterval") or None,
        close_timeout=2,
        proxy=None,
    )


async def _converse(charge_point: ChargePoint, socket: ClientConnection) -> None:
    """Receive and send until the socket closes."""
    charge_point.socket, charge_point.refused_with = socket, None
    charge_point.report("connected")
    conversation = Conversation(charge_point, socket)
    try:
        await until_one_ends(conversation.start(), _send(charge_point, conversation), _greet(charge_point))
    except ConnectionClosed:
        return
    finally:
        charge_point.disconnected()


async def _greet(charge_point: ChargePoint) -> None:
    """Boot; but a lost connection is no boot (OCPP 1.6 section 4.2): only the statuses may be old."""
    if charge_point.accepted.is_set():
        charge_point.announce()
    await charge_point.stay_registered()


async def _send(charge_point: ChargePoint, conversation: Conversation) -> None:
    """Send the outbox, one CALL after the other's answer (OCPP-J 1.6 section 4.1.1)."""
    outbox = charge_point.outbox
    while True:
        obey_cancellation()
        entry = await outbox.head(lambda: not charge_point.accepted.is_set())
        try:
            answer = await conversation.call(entry.build(), suppress=False, unique_id=charge_point.next_message_id())
        except (OCPPError, UnknownCallErrorCodeError, ValidationError) as error:
            charge_point.report(f"got {type(error).__name__}")
            if not await _gives_up(charge_point, entry):
                continue
            answer = None
        except TimeoutError:
            charge_point.report("got no answer")
            if entry.kept:
                continue
            answer = None
        outbox.finish(entry, answer)


async def _gives_up(charge_point: ChargePoint, entry: Entry) -> bool:
    """Wait before a message about a transaction is sent again; True when it was tried often enough."""
    entry.attempts += 1
    if not entry.kept or entry.attempts >= charge_point.configuration.integer("TransactionMessageAttempts"):
        return True
    interval = charge_point.configuration.integer("TransactionMessageRetryInterval")
    await charge_point.pause(interval * entry.attempts)
    return False
