"""What is counted for all processes together: in Redis, on its clock, for theirs may differ, and jump."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Who asks waits so long for Redis, and for as long after a failure not at all.
REDIS_SECONDS, AWAY_SECONDS = 0.25, 5


class SharedCounts:
    """The Redis at a URL, or none for ''; `what` is counted there."""

    def __init__(self, url: str, what: str) -> None:
        patience: Any = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
        self._redis = redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), **patience) if url else None
        self._what, self._away_until = what, 0.0

    def ask(self, question: Callable[[Any], T]) -> T | None:
        """What `question` learns from Redis; None where there is none, and while it is away."""
        if self._redis is None or time.monotonic() < self._away_until:
            return None
        if self._away_until:
            self._stay_away()  # of all who ask now, one alone waits to see whether it is back
        try:
            learnt = question(self._redis)
        except redis.RedisError as error:
            self._stay_away()
            logger.warning("%s are counted in this process alone: %s", self._what, error)
            return None
        self._away_until = 0.0
        return learnt

    def _stay_away(self) -> None:
        self._away_until = time.monotonic() + AWAY_SECONDS
