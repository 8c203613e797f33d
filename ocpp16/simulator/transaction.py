from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ocpp.v16 import call

# A transaction id that no central system gives: for a stop whose StartTransaction was given up.
NO_TRANSACTION = -1


@dataclass(eq=False)
class Transaction:
    """A charging session: `id` is None until the central system gave one, `stop` until it ended."""

    start: call.StartTransaction
    started_at: datetime
    id: int | None = None
    stop: call.StopTransaction | None = None
    data: list[dict[str, Any]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id_tag(self) -> str:
        return self.start.id_tag

    def stop_with_id(self) -> call.StopTransaction:
        """What to send once the session has ended and the central system has given an id, or never will."""
        assert self.stop is not None
        return replace(self.stop, transaction_id=self.id or NO_TRANSACTION)
