"""A connection that does not wait for a server that answers nobody any more."""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import Any

import psycopg

# So long a statement may take until somebody looks whether the server lives, and again and again from then on.
PATIENCE_SECONDS = 0.5


class Connection(psycopg.Connection[Any]):
    """Of a frozen server TCP alone would never tell: its kernel acknowledges what nobody reads."""

    ask: Callable[[], None] = staticmethod(lambda: None)

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        return super().wait(self._watched(gen), *args, **options)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The same, broken off with the connection where `ask` raises; psycopg looks in ten times a second."""
        ask_at = monotonic() + PATIENCE_SECONDS
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and monotonic() > ask_at:
                    self._ask()
                    ask_at = monotonic() + PATIENCE_SECONDS
                wanted = gen.send(ready)
        except StopIteration as end:
            return end.value

    def _ask(self) -> None:
        try:
            self.ask()
        except psycopg.Error:
            self.pgconn.finish()
            raise
