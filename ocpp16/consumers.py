"""One charge point's WebSocket."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any

from channels.layers import get_channel_layer
from django.db import Error

from chargepoints.database import in_database
from chargepoints.models import ChargePoint

from . import frames, handlers, metrics
from .handshake import SUBPROTOCOL, Knock
from .journal import journal
from .log_fields import bound
from .models import Message
from .payloads import InvalidPayload
from .porter import Registration, porter
from .sender import CommandSender, notify
from .writer import writer

logger = logging.getLogger(__name__)

MAXIMUM_INBOUND = 64
LARGE_FRAME = 64 * 1024
# Characters. Parsed, a frame takes many times its length.
MAXIMUM_HELD = 256 * 1024
REMEMBERED_ANSWERS = 64
MALFORMED_LIMIT = 20
MALFORMED_SECONDS = 60

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

_connected: set[ChargePointConsumer] = set()
metrics.watch(_connected)


class ChargePointConsumer:
    """Answers the CALLs of one socket in their order, and sends ours one at a time.

    The two directions never wait for each other: reading, answering, sending and listening to the channel layer are
    tasks of their own, which a consumer that dispatches one event after another could not have.
    """

    def __init__(self, charge_point: ChargePoint, knock: Knock, receive: Receive, send: Send) -> None:
        self.charge_point, self.knock = charge_point, knock
        self.receive, self.send = receive, send
        self.channel_name = ""
        self.commands = CommandSender(charge_point, self.send_text)
        self.inbound: asyncio.Queue[frames.Call | frames.CallResult | frames.CallError | None] = asyncio.Queue(
            MAXIMUM_INBOUND
        )
        self.answers: OrderedDict[tuple[str, str, int], str] = OrderedDict()
        self.malformed: deque[float] = deque(maxlen=MALFORMED_LIMIT)
        self.held = 0
        self.is_closed = False

    async def connect(self) -> None:
        """Accept the socket as the one that speaks for its charge point; raises Error where that cannot be stored."""
        self.channel_name = await get_channel_layer().new_channel("ocpp16.")
        self.listening = asyncio.create_task(self.listen())
        registration = Registration(self.charge_point.pk, self.channel_name, self.knock.address)
        try:
            await porter.register(registration)
        except BaseException:
            self.listening.cancel()
            raise
        self.commands.outgoing.recall(registration.ages, asyncio.get_running_loop().time())
        journal.hold(self.channel_name, self.close_replaced)
        _connected.add(self)
        subprotocol = SUBPROTOCOL if self.knock.protocols else None
        pings = self.charge_point.send_pings
        # Before anything that takes time: a newer socket may replace this one, and what is not open cannot be closed.
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "dynamo.send_pings": pings})
        if registration.replaced:
            await notify(registration.replaced, {"type": "connection.replaced"})
        logger.info("%s connected from %s", self.charge_point, self.knock.address)

    async def serve(self) -> None:
        """Converse until the socket closes, then end what cannot go on."""
        answering = asyncio.create_task(self.answer_calls())
        others = [asyncio.create_task(self.read_frames()), asyncio.create_task(self.commands.run()), self.listening]
        try:
            done, _ = await asyncio.wait([answering, *others], return_when=asyncio.FIRST_COMPLETED)
            failures = [error for duty in done if (error := duty.exception()) is not None]
            if failures:
                logger.error("The socket of %s failed", self.charge_point, exc_info=failures[0])
                await self.close(1011, "internal error")
        finally:
            await asyncio.shield(self.disconnect(answering, others))

    async def disconnect(self, answering: asyncio.Task[None], others: list[asyncio.Task[None]]) -> None:
        """Leave the registry, end at once the commands that can no longer be answered, finish the CALLs taken."""
        self.is_closed = self.commands.is_closed = True
        logger.info("%s disconnected", self.charge_point)
        journal.release(self.channel_name)
        _connected.discard(self)
        for duty in others[:2]:
            duty.cancel()
        try:
            await in_database(self.charge_point.disconnect, self.channel_name)
        except Error as error:
            logger.warning("%s stays registered until its lease ends: %s", self.charge_point, error)
        await self.commands.close()
        if not answering.done():
            await self.inbound.put(None)
            await answering
        self.listening.cancel()

    async def read_frames(self) -> None:
        """Take frames as they come until the socket closes."""
        while True:
            message = await self.receive()
            if message["type"] == "websocket.disconnect":
                return
            if message.get("text") is None:
                await self.close(1003, "text frames only")
                return
            if not await self.receive_text(message["text"]):
                return

    async def receive_text(self, text: str) -> bool:
        """Take one frame; False if the socket is to be closed for it."""
        try:
            # A large frame in a thread: the other sockets would wait for it.
            frame = await asyncio.to_thread(frames.parse, text) if len(text) > LARGE_FRAME else frames.parse(text)
        except frames.Malformed as malformed:
            return await self.refuse_malformed(text, malformed)
        if isinstance(frame, frames.Call):
            self.log(Message.Direction.RECEIVED, frames.CALL, text, frame.message_id, frame.action)
            await self.queue(frame, len(text))
        elif frame is not None:
            kind = frames.CALL_RESULT if isinstance(frame, frames.CallResult) else frames.CALL_ERROR
            action = self.commands.outgoing.action_of(frame.message_id)
            self.log(Message.Direction.RECEIVED, kind, text, frame.message_id, action)
            if not self.commands.answered(frame):
                await self.queue(frame, len(text))
        return True

    async def queue(self, frame: frames.Call | frames.CallResult | frames.CallError, length: int) -> None:
        """Have a frame dealt with in its turn; wait until all are dealt with where they have become too long."""
        if self.held + length > MAXIMUM_HELD:
            await self.inbound.join()
            self.held = 0
        self.held += length
        await self.inbound.put(frame)

    async def refuse_malformed(self, text: str, malformed: frames.Malformed) -> bool:
        metrics.malformed.inc()
        self.log(Message.Direction.RECEIVED, 0, text)
        await self.send_text(frames.call_error(frames.NO_MESSAGE_ID, malformed.code), frames.CALL_ERROR)
        now = asyncio.get_running_loop().time()
        self.malformed.append(now)
        if len(self.malformed) < MALFORMED_LIMIT or now - self.malformed[0] > MALFORMED_SECONDS:
            return True
        await self.close(1008, "too many malformed frames")
        return False

    async def answer_calls(self) -> None:
        """Answer CALLs strictly in the order of their arrival."""
        while (frame := await self.inbound.get()) is not None:
            if isinstance(frame, frames.Call):
                with bound(message_id=frame.message_id, action=frame.action):
                    await self.answer(frame)
            else:
                await self.commands.complete_late(frame)
            self.inbound.task_done()

    async def answer(self, call: frames.Call) -> None:
        key = (call.message_id, call.action, call.mark)
        text = known = self.answers.get(key)
        if text is None:
            text = await self.handle(call)
            if text is None:
                metrics.answered(call, None)
                return
            if text.startswith(f"[{frames.CALL_RESULT}"):
                self.remember(key, text)  # a refusal had no effect, and its reason may pass
        await self.send_text(text, json.loads(text[1:2]), call.message_id, call.action)
        metrics.answered(call, text, repeated=known is not None)
        self.commands.committing.set()

    def remember(self, key: tuple[str, str, int], text: str) -> None:
        """Keep the answer: the same CALL again on this socket gets it again, and has its effect once."""
        self.answers[key] = text
        if len(self.answers) > REMEMBERED_ANSWERS:
            self.answers.popitem(last=False)

    async def handle(self, call: frames.Call) -> str | None:
        """The answer to a CALL, its effects committed; None where only silence makes the peer repeat it."""
        is_billing = call.action in handlers.BILLING
        if is_billing:
            self.commands.committing.clear()
        try:
            if call.fault is not None:
                raise call.fault
            payload, findings = await writer.handle(self.charge_point.pk, call, self.commands.triggered)
            for kind, detail in findings.items():
                journal.finding(self.charge_point.pk, kind, detail)
            return frames.call_result(call.message_id, payload)
        except InvalidPayload as invalid:
            return frames.call_error(call.message_id, invalid.code, invalid.description)
        except Error as error:
            logger.warning("%s %s of %s: %s", call.action, call.message_id, self.charge_point, error)
            if is_billing:
                self.commands.committing.set()
                return None
        except Exception:
            logger.exception("%s %s of %s", call.action, call.message_id, self.charge_point)
        return frames.call_error(call.message_id, "InternalError", "The server could not process this message.")

    async def listen(self) -> None:
        """Take events of the channel layer for as long as the socket lives, through failures of the layer."""
        layer = get_channel_layer()
        while True:
            try:
                event = await layer.receive(self.channel_name)
            except Exception as error:
                metrics.layer_failures.labels("receive").inc()
                logger.warning("The channel layer is not there: %s", error)
                await asyncio.sleep(1)
                continue
            if event["type"] == "command.send":
                await self.commands.admit(event)
            elif event["type"] == "connection.replaced":
                self.close_replaced()

    def close_replaced(self) -> None:
        """Close: a newer socket speaks for this charge point."""
        self.closing = asyncio.get_running_loop().create_task(self.close(1000, "replaced by a newer connection"))

    async def close(self, code: int, reason: str) -> None:
        if not self.is_closed:
            metrics.closed.labels(reason).inc()
            await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def send_text(self, text: str, kind: int, message_id: str = "", action: str = "", logged: str = "") -> None:
        """Send a frame and log it, as `logged` where the log must not hold all of it."""
        self.log(Message.Direction.SENT, kind, logged or text, message_id, action)
        await self.send({"type": "websocket.send", "text": text})

    def log(self, direction: str, kind: int, text: str, message_id: str = "", action: str = "") -> None:
        journal.message(self.charge_point.pk, direction, kind, text, message_id=message_id, action=action[:40])
