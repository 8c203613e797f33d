"""How often handshakes have failed lately: in all processes where there is Redis, in this one where there is none."""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from apikeys.counting import SharedCounts

WINDOW = 60
PER_PEER, PER_ADDRESS = 10, 120
IPV6_PREFIX = 64
PRUNED_AT = 10_000
EMPTY: deque[float] = deque()

# What is counted, and how many of it are too many within the window.
Limits = dict[str, int]


class Failures:
    """Failed handshakes of each identity from one address, and of each address; successes never count.

    So a busy address is not locked out by one bad peer, nor a charge point by a stranger elsewhere.
    """

    def __init__(self, redis_url: str) -> None:
        self._here = FailuresHere()
        self._everywhere = SharedCounts(redis_url, "Failed handshakes")

    def are_too_many(self, peers: list[tuple[str, str]]) -> list[bool]:
        """Of each (identity, address), whether too many have failed."""
        limits = [limits_of(*peer) for peer in peers]
        everywhere = self._everywhere.ask(partial(are_too_many_in_redis, limits)) or [False] * len(peers)
        return [self._here.are_too_many(own) or there for own, there in zip(limits, everywhere, strict=True)]

    def add(self, identity: str, address: str) -> bool:
        """Count one; True if there were too many before, as where several came at once."""
        limits = limits_of(identity, address)
        return self._here.add(limits) | bool(self._everywhere.ask(partial(add_in_redis, limits)))


def limits_of(identity: str, address: str) -> Limits:
    address = counted_address(address)
    return {f"dynamo:failures:{address} {identity}": PER_PEER, f"dynamo:failures:{address}": PER_ADDRESS}


def counted_address(address: str) -> str:
    """What failures count by; of IPv6 the network, in which one machine has as many addresses as it likes."""
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    # IPv4 on a socket that listens to both.
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, IPV6_PREFIX), strict=False).network_address)


class FailuresHere:
    """The moments of the latest failures, on the monotonic clock."""

    def __init__(self) -> None:
        self._moments: dict[str, deque[float]] = {}
        self._lock = threading.Lock()
        self._prune_at = PRUNED_AT

    def are_too_many(self, limits: Limits) -> bool:
        since = time.monotonic() - WINDOW
        with self._lock:
            return any(self._is_full(key, limit, since) for key, limit in limits.items())

    def _is_full(self, key: str, limit: int, since: float) -> bool:
        moments = self._moments.get(key, EMPTY)
        return len(moments) == limit and moments[0] > since

    def add(self, limits: Limits) -> bool:
        now = time.monotonic()
        with self._lock:
            were_too_many = any(self._is_full(key, limit, now - WINDOW) for key, limit in limits.items())
            for key, limit in limits.items():
                self._moments.setdefault(key, deque(maxlen=limit)).append(now)
            if len(self._moments) > self._prune_at:
                self._prune(now - WINDOW)
        return were_too_many

    def _prune(self, since: float) -> None:
        self._moments = {key: moments for key, moments in self._moments.items() if moments[-1] > since}
        self._prune_at = max(PRUNED_AT, 2 * len(self._moments))


def are_too_many_in_redis(peers: list[Limits], redis: Any) -> list[bool]:
    keys = {key: limit for limits in peers for key, limit in limits.items()}
    with redis.pipeline(transaction=False) as pipeline:
        pipeline.time()
        for key, limit in keys.items():
            pipeline.lindex(key, limit - 1)
        (seconds, _), *oldest = pipeline.execute()
    full = {key for key, at in zip(keys, oldest, strict=True) if at is not None and float(at) > seconds - WINDOW}
    return [not full.isdisjoint(limits) for limits in peers]


def add_in_redis(limits: Limits, redis: Any) -> bool:
    seconds, microseconds = redis.time()
    moment = seconds + microseconds / 1e6
    with redis.pipeline() as pipeline:
        for key, limit in limits.items():
            pipeline.lindex(key, limit - 1).lpush(key, moment).ltrim(key, 0, limit - 1).expire(key, WINDOW)
        oldest = pipeline.execute()[::4]
    return any(before is not None and float(before) > moment - WINDOW for before in oldest)
