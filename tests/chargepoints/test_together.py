"""Work that is done for many at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chargepoints.database import Together

SECONDS = 10


class Work:
    """Batches as they were taken; while `gate` is shut they go no further."""

    def __init__(self, threads: int = 1, size: int = 8) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.gate.set()
        self.together = Together(self.carry_out, ThreadPoolExecutor(threads), size)

    def carry_out(self, members: list[str]) -> None:
        self.batches.append(members)
        self.begun.set()
        assert self.gate.wait(SECONDS)
        if "bad" in members:
            raise ValueError("bad")


async def test_does_at_once_what_one_turn_of_the_loop_brings() -> None:
    work = Work()

    await asyncio.gather(*(work.together.do(name) for name in "abc"))

    assert work.batches == [["a", "b", "c"]]


async def test_takes_no_more_than_a_batch_holds() -> None:
    work = Work(size=2)

    await asyncio.gather(*(work.together.do(name) for name in "abc"))

    assert work.batches == [["a", "b"], ["c"]]


async def test_tells_a_failure_to_all_of_the_batch_and_to_no_other() -> None:
    work = Work(size=2)

    ends = await asyncio.gather(*(work.together.do(name) for name in ("a", "bad", "b")), return_exceptions=True)

    assert [type(end) for end in ends] == [ValueError, ValueError, type(None)]


async def test_goes_on_when_one_who_waited_has_left() -> None:
    work = Work()
    work.gate.clear()
    leaving, staying = (asyncio.ensure_future(work.together.do(name)) for name in "ab")
    await asyncio.to_thread(work.begun.wait, SECONDS)

    leaving.cancel()
    work.gate.set()
    await staying

    assert leaving.cancelled()


def test_has_room_again_when_the_loop_ends_before_the_work() -> None:
    """A loop of a test or of a command may end so; the next must not wait for what it has left."""
    work = Work()
    work.gate.clear()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(work.together.do("a"), 0.01)

    asyncio.run(leave())
    work.gate.set()

    asyncio.run(asyncio.wait_for(work.together.do("b"), SECONDS))

    assert work.batches == [["a"], ["b"]]
