"""Our CALLs to one charge point: which may go out when, and the one that is in flight."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

from .frames import CallError, CallResult
from .models import Command

RATE = 10
WINDOW = 1.0
MARGIN = 0.02


class Window:
    """A sliding window of RATE moments in WINDOW seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._moments: list[float] = []

    def wait(self, now: float) -> float:
        """Seconds until the window has room; 0 where it has now."""
        if len(self._moments) < RATE:
            return 0.0
        return max(0.0, self._moments[0] + WINDOW - now)

    def add(self, now: float) -> None:
        self._moments = [*self._moments[1 - RATE :], now]


@dataclass(slots=True)
class Waiting:
    """A command that waits for its turn, and `seconds` for its answer; `reply_channel`, if any, is told of its end.

    `word` is when it is told that the command has come here, unless its end is sooner.
    """

    command_id: uuid.UUID
    reply_channel: str
    seconds: float
    word: asyncio.TimerHandle | None = None
    command: Command | None = None
    sent_at: float = 0.0
    answer: asyncio.Future[CallResult | CallError] = field(default_factory=lambda: asyncio.Future())

    def forget_word(self) -> None:
        if self.word is not None:
            self.word.cancel()


class Outgoing:
    """The queue of one socket's commands, and the one that was taken from it and has not ended."""

    def __init__(self) -> None:
        self.queue: list[Waiting] = []
        self.taken: Waiting | None = None
        self._admitted, self._sent = Window(), Window()

    def recall(self, ages: list[float], now: float) -> None:
        """Count CALLs that left through an earlier socket, so that a new one does not start the second anew."""
        for age in ages:
            self._admitted.add(now - age)
            self._sent.add(now - age)

    def admit(self, waiting: Waiting, now: float) -> float:
        """Queue a command and return 0, or the seconds after which there may be room for one."""
        # Behind a second's worth that waits, a command would mostly see its timeout.
        delay = self._admitted.wait(now) if len(self.queue) < RATE else WINDOW
        if not delay:
            self._admitted.add(now)
            self.queue.append(waiting)
        return delay

    async def next(self) -> Waiting:
        """Take the next of the queue once the wire may carry it: a slow answer must not turn it into a burst."""
        self.taken = self.queue.pop(0)
        loop = asyncio.get_running_loop()
        # A little more than the window: the peer's clock must not see an eleventh in its second either.
        await asyncio.sleep(self._sent.wait(loop.time() - MARGIN))
        return self.taken

    def sent(self, now: float) -> None:
        """Note that a CALL has left."""
        self._sent.add(now)

    def answered(self, frame: CallResult | CallError) -> bool:
        """Hand an answer to the command in flight, of several the first; False if it is not that one's, or late."""
        waiting = self.taken
        if waiting is None or not self.is_taken(frame.message_id) or waiting.answer.cancelled():
            return False
        if not waiting.answer.done():
            waiting.answer.set_result(frame)
        return True

    def is_taken(self, message_id: str) -> bool:
        """Whether this is the id of the command that was taken and has not ended."""
        return self.taken is not None and str(self.taken.command_id) == message_id

    def holds(self, command_id: uuid.UUID) -> bool:
        """Whether the command is in the queue, or was taken from it and has not ended."""
        return any(waiting.command_id == command_id for waiting in (*self.queue, *filter(None, [self.taken])))

    def action_of(self, message_id: str) -> str:
        """What the answer with this id answers, if that is in flight."""
        command = self.taken.command if self.taken is not None and self.is_taken(message_id) else None
        return command.action if command is not None else ""

    def drain(self) -> list[Waiting]:
        """Take back every command that can no longer be answered."""
        left = [self.taken, *self.queue] if self.taken is not None else [*self.queue]
        self.taken = None
        self.queue.clear()
        return left
