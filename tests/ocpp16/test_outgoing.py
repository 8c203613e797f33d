"""Which commands are queued for one charge point's socket."""

from __future__ import annotations

import uuid

from ocpp16.outgoing import RATE, Outgoing, Waiting


async def test_lets_no_more_wait_than_may_leave_in_a_second() -> None:
    outgoing = Outgoing()
    delays = [outgoing.admit(Waiting(uuid.uuid4(), "reply", 10), now=100.0 + second) for second in range(RATE + 5)]
    assert delays == [0.0] * RATE + [1.0] * 5
    await outgoing.next()
    assert outgoing.admit(Waiting(uuid.uuid4(), "reply", 10), now=200.0) == 0
    assert outgoing.admit(Waiting(uuid.uuid4(), "reply", 10), now=300.0) > 0
