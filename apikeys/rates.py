"""How many requests each key has made lately: over all processes where there is Redis, in each where there is none."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from django.conf import settings
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from .counting import SharedCounts

WINDOW = 60
PRUNED_AT = 10_000
# In one step, so that no count is ever left without an end. Redis's own clock ends it.
COUNT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if count == tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return {count, redis.call('PTTL', KEYS[1])}
"""


class Window(NamedTuple):
    """How many requests there were in the current minute, which began with the first, and how much of it is left."""

    used: int
    seconds: float


class Allowance(NamedTuple):
    """What a key has left when a request has been counted."""

    quota: int
    used: int
    seconds: int

    @property
    def is_exceeded(self) -> bool:
        return self.used > self.quota

    def headers(self) -> dict[str, str]:
        """As the IETF drafts them, and as most clients know them."""
        remaining = max(0, self.quota - self.used)
        return {
            "RateLimit-Policy": f'"key";q={self.quota};w={WINDOW}',
            "RateLimit": f'"key";r={remaining};t={self.seconds}',
            "X-RateLimit-Limit": str(self.quota),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(self.seconds),
        }


class RateLimited(APIException):
    """429: the key has made as many requests as it may."""

    status_code, code = 429, "rate_limited"

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(f"More than {allowance.quota} requests in a minute with this API key.")
        self.details = {"requests_per_minute": allowance.quota}
        self.headers = {"Retry-After": str(allowance.seconds)}


class WithinRate(BaseThrottle):
    """Refuses a request that was one too many when it was counted."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if is_too_many(request._request):
            raise RateLimited(request._request.allowance)  # type: ignore[attr-defined]
        return True


def is_too_many(request: Any) -> bool:
    """Whether a request that was counted was one more than its key may make."""
    allowance = getattr(request, "allowance", None)
    return allowance is not None and allowance.is_exceeded


class Rates:
    """Counts requests, those of many at once by one question to Redis."""

    def __init__(self, redis_url: str) -> None:
        self._here = WindowsHere()
        self._everywhere = SharedCounts(redis_url, "The requests of each API key")

    def add(self, numbers: dict[str, int]) -> dict[str, Window]:
        """Count so many requests of each name; returns its window with them."""
        return self._everywhere.ask(partial(add_in_redis, numbers)) or self._here.add(numbers)


def add_in_redis(numbers: dict[str, int], redis: Any) -> dict[str, Window]:
    with redis.pipeline(transaction=False) as pipeline:
        for name, number in numbers.items():
            pipeline.eval(COUNT, 1, f"dynamo:rate:{name}", number, WINDOW)
        told = pipeline.execute()
    return {name: Window(count, left / 1000) for name, (count, left) in zip(numbers, told, strict=True)}


class WindowsHere:
    """The same in this process, on the monotonic clock."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._prune_at = PRUNED_AT

    def add(self, numbers: dict[str, int]) -> dict[str, Window]:
        now = time.monotonic()
        with self._lock:
            if len(self._windows) > self._prune_at:
                self._prune(now)
            return {name: self._add(name, number, now) for name, number in numbers.items()}

    def _add(self, name: str, number: int, now: float) -> Window:
        count, end = self._windows.get(name, (0, 0.0))
        if end <= now:
            count, end = 0, now + WINDOW
        self._windows[name] = count + number, end
        return Window(count + number, end - now)

    def _prune(self, now: float) -> None:
        self._windows = {name: window for name, window in self._windows.items() if window[1] > now}
        self._prune_at = max(PRUNED_AT, 2 * len(self._windows))


rates = Rates(settings.DYNAMO_REDIS_URL)


def count_requests(requests: Iterable[Any]) -> None:
    """Count those whose key has a rate, and note on each what it leaves: `allowance`."""
    limited = [request for request in requests if request.found_key is not None and request.found_key.rate]
    if not limited:
        return
    numbers = Counter(request.found_key.prefix for request in limited)
    windows = rates.add(numbers)
    for request in limited:
        name = request.found_key.prefix
        numbers[name] -= 1
        used, seconds = windows[name]
        request.allowance = Allowance(request.found_key.rate, used - numbers[name], max(1, math.ceil(seconds)))
