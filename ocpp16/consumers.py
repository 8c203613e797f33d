"""One charge point's WebSocket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from django.db import Error

from chargepoints.database import in_database
from chargepoints.models import ChargePoint

from . import frames, handlers, metrics
from .answers import Answers, answer_of, refusal
from .deliveries import deliveries
from .exchange import Exchange
from .handlers import Asked, Outcome
from .handshake import SUBPROTOCOL, Knock
from .journal import journal
from .log_fields import context
from .models import Message
from .porter import Registration, porter
from .sender import CommandSender, notify
from .writer import writer

logger = logging.getLogger(__name__)

MAXIMUM_INBOUND = 64
LARGE_FRAME = 64 * 1024
# Characters. Parsed, a frame takes many times its length.
MAXIMUM_HELD = 256 * 1024
# Beyond so many of one socket in a second, Heartbeats wait for the database as all else does.
TOLD_AT_ONCE = 500
MALFORMED_LIMIT = 20
MALFORMED_SECONDS = 60

Inbound = frames.Call | frames.CallResult | frames.CallError
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Write = Callable[[str], None]

_connected: set[ChargePointConsumer] = set()
metrics.watch(_connected)


class ChargePointConsumer:
    """Answers the CALLs of one socket in their order, and sends ours one at a time.

    The two directions never wait for each other: reading and sending are duties of their own, which a consumer that
    dispatches one event after another could not have, and an answer is sent by whoever has it. An idle socket has only
    the first duty. `write` sends a text frame at once.
    """

    def __init__(self, charge_point: ChargePoint, knock: Knock, receive: Receive, send: Send, write: Write) -> None:
        self.charge_point, self.knock = charge_point, knock
        self.receive, self.send, self.write = receive, send, write
        self.channel_name = ""
        self.commands = CommandSender(charge_point, self.send_text, self.begin)
        self.inbound: list[Inbound] = []
        self.held = 0
        self.is_dealing = False  # with a frame that is no longer among them
        self.all_dealt_with: asyncio.Future[None] | None = None
        self.answers = Answers()
        self.told_at_once = (0, 0)  # how many, in which second
        self.malformed: list[float] = []
        self.duties: set[asyncio.Task[None]] = set()
        self.is_closed = False

    async def connect(self) -> None:
        """Accept the socket as the one that speaks for its charge point; raises Error where that cannot be stored."""
        exchange = Exchange.of_this_loop()
        self.channel_name = await exchange.open(self.take)
        registration = Registration(self.charge_point.pk, self.channel_name, self.knock.address)
        try:
            await porter.register(registration)
        except BaseException:
            exchange.close(self.channel_name)
            raise
        self.commands.outgoing.recall(registration.ages, asyncio.get_running_loop().time())
        journal.hold(self.channel_name, self.charge_point, self.close_replaced)
        deliveries.hold(self.channel_name, self.commands.deliver)
        _connected.add(self)
        subprotocol = SUBPROTOCOL if self.knock.protocols else None
        pings = self.charge_point.send_pings
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "dynamo.send_pings": pings})
        if registration.replaced:
            self.begin(notify(registration.replaced, {"type": "connection.replaced"}))
        logger.info("%s connected from %s", self.charge_point, self.knock.address)

    def begin(self, duty: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a duty beside the others; one that fails takes the socket with it."""
        task = asyncio.get_running_loop().create_task(duty)
        self.duties.add(task)
        task.add_done_callback(self.ended)
        return task

    def ended(self, task: asyncio.Task[None]) -> None:
        self.duties.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        logger.error("The socket of %s failed", self.charge_point, exc_info=error)
        self.begin(self.close(1011, "internal error"))

    async def serve(self) -> None:
        """Converse until the socket closes, then end what cannot go on."""
        try:
            await self.read_frames()
        except Exception:
            logger.exception("The socket of %s failed", self.charge_point)
            await self.close(1011, "internal error")
        finally:
            await asyncio.shield(self.disconnect())

    async def disconnect(self) -> None:
        """Leave the registry, end at once the commands that can no longer be answered, finish the CALLs taken."""
        self.is_closed = self.commands.is_closed = True
        logger.info("%s disconnected", self.charge_point)
        journal.release(self.channel_name)
        deliveries.release(self.channel_name)
        _connected.discard(self)
        try:
            await in_database(self.charge_point.disconnect, self.channel_name)
        except Error as error:
            logger.warning("%s stays registered until its lease ends: %s", self.charge_point, error)
        await self.commands.close()
        Exchange.of_this_loop().close(self.channel_name)
        await self.dealt_with_all()
        if self.duties:
            await asyncio.wait(self.duties)

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
            if self.is_dealing or not await self.tell_time(frame):
                await self.queue(frame, len(text))
        elif frame is not None:
            kind = frames.CALL_RESULT if isinstance(frame, frames.CallResult) else frames.CALL_ERROR
            action = self.commands.outgoing.action_of(frame.message_id)
            self.log(Message.Direction.RECEIVED, kind, text, frame.message_id, action)
            if not self.commands.answered(frame):
                await self.queue(frame, len(text))
        return True

    async def tell_time(self, call: frames.Call) -> bool:
        """Answer at once who asks only for the time, as most do; False where an answer takes the database."""
        if call.action != "Heartbeat" or call.payload or call.fault is not None:
            return False
        moment = journal.time_for(self.channel_name)
        if moment is None or not self.may_tell_at_once(moment.second):
            return False
        text = frames.call_result(call.message_id, handlers.time_told(moment))
        self.reply(call, text)
        self.commands.triggered.discard(call.action)
        await asyncio.sleep(0)  # of a flood, too, one at a time
        return True

    def may_tell_at_once(self, second: int) -> bool:
        """Count another Heartbeat; False where there have been so many that a peer floods us."""
        count = self.told_at_once[0] + 1 if self.told_at_once[1] == second else 1
        self.told_at_once = count, second
        return count <= TOLD_AT_ONCE

    async def queue(self, frame: Inbound, length: int) -> None:
        """Have a frame dealt with in its turn; wait until all are dealt with where they have become too many."""
        if len(self.inbound) >= MAXIMUM_INBOUND or self.held + length > MAXIMUM_HELD:
            await self.dealt_with_all()
        self.held += length
        self.inbound.append(frame)
        self.go_on()
        if not self.is_dealing:
            await asyncio.sleep(0)  # of a flood of what is known already, too, one at a time

    def go_on(self) -> None:
        """Deal with what waits, strictly in the order of its arrival, as far as that has its end at once."""
        while self.inbound and not self.is_dealing:
            self.is_dealing = not self.deal_with(self.inbound.pop(0))
        if not self.is_dealing:
            self.held = 0
            if self.all_dealt_with is not None:
                self.all_dealt_with.set_result(None)
                self.all_dealt_with = None

    def deal_with(self, frame: Inbound) -> bool:
        """Whether the frame is dealt with, or never can be; `dealt` follows where it is not yet."""
        try:
            if isinstance(frame, frames.Call):
                return self.answer(frame)
            said = context(charge_point=str(self.charge_point), message_id=frame.message_id)
            said.run(self.begin, self.complete_late(frame))
        except Exception as error:  # those behind it still have their effects, and their end is waited for
            self.fail(error)
            return True
        return False

    def dealt(self) -> None:
        self.is_dealing = False
        self.go_on()

    async def dealt_with_all(self) -> None:
        """Wait until nothing waits."""
        if not self.is_dealing:
            return
        if self.all_dealt_with is None:
            self.all_dealt_with = asyncio.get_running_loop().create_future()
        await asyncio.wait([self.all_dealt_with])

    async def refuse_malformed(self, text: str, malformed: frames.Malformed) -> bool:
        metrics.malformed.inc()
        self.log(Message.Direction.RECEIVED, 0, text)
        self.send_text(frames.call_error(frames.NO_MESSAGE_ID, malformed.code), frames.CALL_ERROR)
        now = asyncio.get_running_loop().time()
        self.malformed = [*self.malformed[1 - MALFORMED_LIMIT :], now]
        if len(self.malformed) < MALFORMED_LIMIT or now - self.malformed[0] > MALFORMED_SECONDS:
            return True
        await self.close(1008, "too many malformed frames")
        return False

    async def complete_late(self, frame: frames.CallResult | frames.CallError) -> None:
        try:
            await self.commands.complete_late(frame)
        finally:
            self.dealt()

    def answer(self, call: frames.Call) -> bool:
        """Whether the CALL is answered; `conclude` does it where that takes the database."""
        known = self.answers.of(call)
        if known is not None:
            self.reply(call, known, repeated=True)
            return True
        if call.fault is not None:
            self.reply(call, refusal(call, call.fault))
            return True
        if call.action in handlers.BILLING:
            self.commands.commit()
        said = context(charge_point=str(self.charge_point), message_id=call.message_id, action=call.action)
        writer.ask(Asked(self.charge_point.pk, call, self.commands.triggered, said), self.conclude)
        return False

    def conclude(self, asked: Asked) -> None:
        """Answer a CALL that has its outcome, and go on to the next."""
        try:
            self.tell_outcome(asked.call, asked.outcome)
        except Exception as error:
            self.fail(error)
        self.commands.committed()
        self.dealt()

    def tell_outcome(self, call: frames.Call, outcome: Outcome | None) -> None:
        text = answer_of(self.charge_point, call, outcome)
        if text is None:
            metrics.answered(call, None)
            return
        # A refusal had no effect, and its reason may pass; nor has what says nothing, as Heartbeats do.
        if call.payload and isinstance(outcome, tuple):
            self.answers.remember(call, text, MAXIMUM_INBOUND)
        self.reply(call, text)

    def reply(self, call: frames.Call, text: str, *, repeated: bool = False) -> None:
        self.send_text(text, int(text[1]), call.message_id, call.action)
        metrics.answered(call, text, repeated=repeated)

    def take(self, event: dict[str, str]) -> None:
        """Do what an event of another socket or caller asks for."""
        if event["type"] == "command.send":
            self.commands.admit(event)
        elif event["type"] == "connection.replaced":
            self.close_replaced()

    def close_replaced(self) -> None:
        """Close: a newer socket speaks for this charge point."""
        self.begin(self.close(1000, "replaced by a newer connection"))

    async def close(self, code: int, reason: str) -> None:
        if not self.is_closed:
            metrics.closed.labels(reason).inc()
            await self.send({"type": "websocket.close", "code": code, "reason": reason})

    def send_text(self, text: str, kind: int, message_id: str = "", action: str = "", logged: str = "") -> None:
        """Send a frame and log it, as `logged` where the log must not hold all of it."""
        self.log(Message.Direction.SENT, kind, logged or text, message_id, action)
        self.write(text)

    def log(self, direction: str, kind: int, text: str, message_id: str = "", action: str = "") -> None:
        journal.message(self.charge_point.pk, direction, kind, text, message_id=message_id, action=action[:40])
