"""Work that is done for many at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from chargepoints import database
from chargepoints.database import Together

SECONDS = 10


class Work:
    """Batches as they were taken; while `gate` is shut they go no further."""

    def __init__(self, threads: int = 1, size: int = 8) -> None:
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.gate.set()
        self.threads = ThreadPoolExecutor(threads)
        self.together = Together(self.carry_out, self.threads, size)

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


async def test_gathers_those_who_come_after_a_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "GATHER_SECONDS", 0.5)
    work = Work(size=32)
    await asyncio.gather(*(work.together.do(name) for name in "abcd"))

    early = asyncio.ensure_future(work.together.do("e"))
    await asyncio.sleep(0.01)
    await asyncio.gather(early, work.together.do("f"))

    assert work.batches == [["a", "b", "c", "d"], ["e", "f"]]


@pytest.mark.parametrize("size", [8, 32])
async def test_lets_nobody_wait_who_came_after_a_few_or_with_many(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Many are half of what a batch holds, or all who were there before."""
    monkeypatch.setattr(database, "GATHER_SECONDS", 10 * SECONDS)
    work = Work(size=size)

    async with asyncio.timeout(SECONDS):
        for names in ("abc", "d", "efgh", "ijkl"):
            await asyncio.gather(*(work.together.do(name) for name in names))

    assert work.batches == [[*"abc"], [*"d"], [*"efgh"], [*"ijkl"]]


async def test_awaits_those_who_were_answered_with_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 10 * SECONDS)
    monkeypatch.setattr(database, "GATHER_SECONDS", 0.5)
    work = Work(size=32)
    work.gate.clear()
    crowd = [asyncio.ensure_future(work.together.do(name)) for name in "abcd"]
    await asyncio.to_thread(work.begun.wait, SECONDS)
    early = asyncio.ensure_future(work.together.do("e"))
    await asyncio.sleep(0.01)
    work.gate.set()
    await asyncio.gather(*crowd)

    again = [asyncio.ensure_future(work.together.do(name)) for name in "fgh"]
    await asyncio.sleep(0.01)
    await asyncio.gather(early, *again, work.together.do("i"))

    assert work.batches == [[*"abcd"], [*"efghi"]]


async def test_waits_anew_when_those_who_were_waited_for_have_been_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer that is left from a batch before would begin this one beside another, small as it is."""
    monkeypatch.setattr(database, "PATIENCE_SECONDS", 10 * SECONDS)
    monkeypatch.setattr(database, "GATHER_SECONDS", 0.2)
    work = Work(threads=2, size=8)
    await asyncio.gather(*(work.together.do(name) for name in "abcd"))
    early = asyncio.ensure_future(work.together.do("e"))
    await asyncio.sleep(0.01)
    work.gate.clear()

    crowd = [asyncio.ensure_future(work.together.do(name)) for name in "fgh"]
    await asyncio.sleep(0.01)
    late = asyncio.ensure_future(work.together.do("i"))
    await asyncio.sleep(0.4)
    begun = [*work.batches]
    work.gate.set()
    await asyncio.gather(early, *crowd, late)

    assert begun == [[*"abcd"], [*"efgh"]]


async def test_begins_beside_a_batch_that_takes_long() -> None:
    work = Work(threads=2)
    work.gate.clear()
    slow = asyncio.ensure_future(work.together.do("a"))
    await asyncio.to_thread(work.begun.wait, SECONDS)
    work.begun.clear()

    beside = asyncio.ensure_future(work.together.do("b"))
    assert await asyncio.to_thread(work.begun.wait, SECONDS)
    work.gate.set()
    await asyncio.gather(slow, beside)

    assert work.batches == [["a"], ["b"]]


async def test_tells_a_failure_to_all_of_the_batch_and_to_no_other() -> None:
    work = Work(size=2)

    ends = await asyncio.gather(*(work.together.do(name) for name in ("a", "bad", "b")), return_exceptions=True)

    assert [type(end) for end in ends] == [ValueError, ValueError, type(None)]


async def test_tells_the_others_where_one_cannot_be_told() -> None:
    work = Work()
    told: list[str] = []
    work.together.ask("a", lambda _: told[0].upper())
    work.together.ask("b", lambda _: told.append("b"))

    await work.together.do("c")

    assert (told, work.batches) == (["b"], [["a", "b", "c"]])


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


async def test_tells_those_whose_work_can_no_longer_begin() -> None:
    """Threads take nothing more when the interpreter ends."""
    work = Work(size=2)
    work.gate.clear()
    waiting = [asyncio.ensure_future(work.together.do(name)) for name in "abcde"]
    await asyncio.to_thread(work.begun.wait, SECONDS)
    work.threads.shutdown(wait=False)
    work.gate.set()

    ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), SECONDS)

    assert [type(end) for end in ends] == [*[type(None)] * 2, *[RuntimeError] * 3]
