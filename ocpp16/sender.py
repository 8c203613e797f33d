"""Our side of the conversation with one charge point: CALLs that go out, and their ends."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error

from chargepoints.database import Together, in_database
from chargepoints.models import ChargePoint

from . import frames, metrics, outcomes
from .exchange import send
from .journal import journal
from .log_fields import bound
from .models import Command
from .models.command_queryset import Claim
from .outcomes import Answer
from .outgoing import Outgoing, Waiting
from .payloads import in_order, masked

logger = logging.getLogger(__name__)

LAYER_SECONDS = 2
DEPENDENT_SECONDS = 1
RETRY_SECONDS = (0.1, 0.5)
# Most commands end sooner: their sender need not be told first that they have come here.
WORD_SECONDS = 0.2
BATCH = 64
# Of their own: a command, whose caller waits, would stand behind every meter value of a backlog.
THREADS = ThreadPoolExecutor(2, thread_name_prefix="database-commands")
in_commands_thread = partial(in_database, threads=THREADS)
claims = Together(Command.objects.claim_all, THREADS, BATCH)
answers = Together(outcomes.complete_all, THREADS, BATCH)

Write = Callable[[str, int, str, str, str], None]
Begin = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]


class CommandSender:
    """Takes the commands for one socket, sends them one at a time by `write`, and sees each to its end.

    `triggered` holds the actions that we have asked the charge point for; `committing` is there while an answer is
    being written that a command may depend on. `begin` runs a coroutine as one of the socket's duties.
    """

    def __init__(self, charge_point: ChargePoint, write: Write, begin: Begin) -> None:
        self.charge_point, self.write, self.begin = charge_point, write, begin
        self.outgoing = Outgoing()
        self.triggered: set[str] = set()
        self.committing: asyncio.Future[None] | None = None
        self.sending: asyncio.Task[None] | None = None
        self.is_closed = False

    def admit(self, event: dict[str, str]) -> None:
        """Queue a command that the channel layer brought, or tell its sender that there are too many."""
        seconds = float(event.get("seconds", settings.DYNAMO_COMMAND_TIMEOUT))
        waiting = Waiting(uuid.UUID(event["command"]), event["reply_channel"], seconds)
        if self.is_closed:
            self.begin(self.end(waiting, Command.State.LOST))
            return
        loop = asyncio.get_running_loop()
        if self.outgoing.admit(waiting, loop.time()):
            self.begin(self.reply(waiting, "limited"))
            return
        waiting.word = loop.call_later(WORD_SECONDS, self.give_word, waiting)
        self.go_on()

    def deliver(self, command_id: uuid.UUID) -> None:
        """Queue a command that was kept for this charge point, unless that is done or there are too many."""
        waiting = Waiting(command_id, "", settings.DYNAMO_COMMAND_TIMEOUT)
        if self.is_closed or self.outgoing.holds(command_id):
            return
        if not self.outgoing.admit(waiting, asyncio.get_running_loop().time()):
            self.go_on()

    def go_on(self) -> None:
        if self.sending is None:
            self.sending = self.begin(self.run())

    def give_word(self, waiting: Waiting) -> None:
        self.begin(self.reply(waiting, "queued"))

    async def run(self) -> None:
        """Send what is queued one at a time, each when the one before has been answered or has timed out."""
        try:
            while self.outgoing.queue and not self.is_closed:
                await self.send_next(await self.outgoing.next())
        finally:
            self.sending = None

    async def send_next(self, waiting: Waiting) -> None:
        try:
            with bound(message_id=str(waiting.command_id)):
                await self.send_command(waiting)
        except Error as error:
            logger.warning("Command %s: %s", waiting.command_id, error)
            await self.reply(waiting, "ended" if waiting.sent_at else "unavailable")
        finally:
            self.outgoing.taken = None

    def commit(self) -> None:
        """Hold commands back: an answer that they may depend on is about to be written."""
        if self.committing is None:
            self.committing = asyncio.get_running_loop().create_future()

    def committed(self) -> None:
        if self.committing is not None:
            self.committing.set_result(None)
            self.committing = None

    async def send_command(self, waiting: Waiting) -> None:
        # The CALL may depend on an answer that is just being written: that leaves first.
        if self.committing is not None:
            await asyncio.wait([self.committing], timeout=DEPENDENT_SECONDS)
        command = waiting.command = await self.claim(waiting.command_id)
        if command is None:
            waiting.forget_word()
            return
        call, payload = (str(command.id), command.action), in_order(command.action, command.payload)
        text = frames.call(*call, payload)
        logged = frames.call(*call, masked(command.action, payload))
        # From now on: what we ask for may come before the answer that promises it has been stored.
        self.triggered |= outcomes.asks_for(command)
        waiting.sent_at = asyncio.get_running_loop().time()
        self.outgoing.sent(waiting.sent_at)
        self.write(text, frames.CALL, *call, logged)
        with suppress(TimeoutError):
            async with asyncio.timeout(waiting.seconds):
                await waiting.answer
        if waiting.answer.cancelled():
            await self.end(waiting, Command.State.TIMED_OUT)
            return
        await self.complete_answered(waiting)

    async def claim(self, command_id: uuid.UUID) -> Command | None:
        """Take the command for sending; None where it has ended."""
        claim = Claim(command_id)
        await claims.do(claim)
        return claim.command or await in_commands_thread(Command.objects.claim, command_id)

    async def complete_answered(self, waiting: Waiting) -> None:
        milliseconds = round((asyncio.get_running_loop().time() - waiting.sent_at) * 1000)
        frame, command = waiting.answer.result(), waiting.command
        if command is not None and await self.complete_with_others(Answer(command, frame, milliseconds)):
            self.learn(command)
            await self.reply(waiting, "ended", command.tell())
            return
        await self.complete(waiting.command_id, frame, milliseconds)
        await self.reply(waiting, "ended")

    async def complete_with_others(self, answer: Answer) -> bool:
        """Store an answer that changes no more than the command's row; False where it is left to be stored alone."""
        if answer.is_plain:
            with suppress(Error):
                await answers.do(answer)
        return answer.is_stored

    async def settle(self, waiting: Waiting) -> None:
        """End a command that the socket's end overtook; one whose answer has come keeps it."""
        if waiting.answer.cancelled() or not waiting.answer.done():
            await self.end(waiting, Command.State.LOST)
            return
        try:
            await self.complete_answered(waiting)
        except Error as error:
            logger.warning("Command %s: %s", waiting.command_id, error)
            await self.reply(waiting, "ended")

    async def complete(
        self, command_id: uuid.UUID, frame: frames.CallResult | frames.CallError, ms: int | None
    ) -> bool:
        """Store the answer to a command of this charge point; False if there is none of this id."""
        command = await self.store(command_id, frame, ms)
        if command is not None:
            self.learn(command)
        return command is not None

    def learn(self, command: Command) -> None:
        """Expect no message that the charge point has declined to send."""
        if command.status != "Accepted":
            self.triggered -= outcomes.asks_for(command)

    async def store(
        self, command_id: uuid.UUID, frame: frames.CallResult | frames.CallError, ms: int | None
    ) -> Command | None:
        """outcomes.complete, tried again through a short absence of the database: the answer comes only once."""
        for seconds in RETRY_SECONDS:
            with suppress(Error):
                return await in_commands_thread(outcomes.complete, self.charge_point.pk, command_id, frame, ms)
            await asyncio.sleep(seconds)
        return await in_commands_thread(outcomes.complete, self.charge_point.pk, command_id, frame, ms)

    async def complete_late(self, frame: frames.CallResult | frames.CallError) -> None:
        """An answer to no CALL in flight: that of a command that timed out, or one to ignore."""
        try:
            command_id = uuid.UUID(frame.message_id)
            if self.outgoing.is_taken(frame.message_id):  # its timeout is just being stored
                await in_commands_thread(outcomes.end, command_id, Command.State.TIMED_OUT)
            known = await self.complete(command_id, frame, None)
        except (ValueError, Error):
            known = False
        if not known:
            journal.finding(self.charge_point.pk, "answer to an unknown message id", frame.message_id)

    async def end(self, waiting: Waiting, state: str) -> None:
        """Bring a command that the socket's end overtook to its own end."""
        try:
            await in_commands_thread(outcomes.end, waiting.command_id, state)
        except Error as error:
            logger.warning("Command %s: %s", waiting.command_id, error)
        await self.reply(waiting, "ended")

    async def reply(self, waiting: Waiting, state: str, told: str = "") -> None:
        """Tell who sent the command how far it has come, and its answer, for its row need not be read then."""
        if state != "queued":
            waiting.forget_word()
        if not waiting.reply_channel:
            return
        event = {"type": "command.state", "command": str(waiting.command_id), "state": state, "told": told}
        await notify(waiting.reply_channel, event)

    def answered(self, frame: frames.CallResult | frames.CallError) -> bool:
        """Hand an answer to the command in flight; False if it is not that one's."""
        return self.outgoing.answered(frame)

    async def close(self) -> None:
        """Bring every command to its end: the socket is gone."""
        if self.sending is not None:
            self.sending.cancel()
        for waiting in self.outgoing.drain():
            await self.settle(waiting)


async def notify(channel: str, event: dict[str, str]) -> None:
    """Send to another channel; whoever waits there also has a deadline, so a failure is only logged."""
    try:
        async with asyncio.timeout(LAYER_SECONDS):
            await send(channel, event)
    except Exception as error:
        metrics.layer_failures.labels("reply").inc()
        logger.warning("The channel layer is not there: %s", error)
