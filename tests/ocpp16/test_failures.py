"""How failed handshakes are counted in one process, on a clock of the test's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from apikeys import counting
from ocpp16 import failures
from ocpp16.failures import PER_PEER, WINDOW, Failures

NO_REDIS = "redis://127.0.0.1:1/0"


def too_many(counted: Failures, identity: str, address: str) -> bool:
    (answer,) = counted.are_too_many([(identity, address)])
    return answer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    for module in (failures, counting):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.parametrize("redis_url", ["", NO_REDIS])
def test_forgets_each_failure_after_a_minute(clock: SimpleNamespace, redis_url: str) -> None:
    counted = Failures(redis_url)
    for _ in range(PER_PEER):
        assert not too_many(counted, "CP", "10.0.0.1")
        assert not counted.add("CP", "10.0.0.1")
        clock.now += 1
    assert too_many(counted, "CP", "10.0.0.1")
    assert counted.add("CP", "10.0.0.1")
    clock.now += WINDOW - PER_PEER
    assert too_many(counted, "CP", "10.0.0.1")
    clock.now += 2
    assert not too_many(counted, "CP", "10.0.0.1")


def test_counts_all_addresses_of_one_ipv6_network(clock: SimpleNamespace) -> None:
    counted = Failures("")
    for number in range(PER_PEER):
        counted.add("CP", f"2001:db8:0:1::{number:x}")
    assert too_many(counted, "CP", "2001:db8:0:1:ffff::1")
    assert not too_many(counted, "CP", "2001:db8:0:2::1")


def test_tells_ipv4_addresses_apart_on_a_socket_that_listens_to_both() -> None:
    counted = Failures("")
    for _ in range(PER_PEER):
        counted.add("CP", "::ffff:10.0.0.1")
    assert too_many(counted, "CP", "10.0.0.1")
    assert not too_many(counted, "CP", "::ffff:10.0.0.2")


def test_asks_a_redis_that_is_away_only_now_and_then(clock: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    counted = Failures(NO_REDIS)
    for _ in range(100):
        too_many(counted, "CP", "10.0.0.1")
    assert len(caplog.records) == 1
    clock.now += counting.AWAY_SECONDS
    too_many(counted, "CP", "10.0.0.1")
    assert len(caplog.records) == 2


def test_holds_no_more_than_a_minute_of_failures(clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "PRUNED_AT", 100)
    counted = Failures("")
    for number in range(1000):
        counted.add(f"GUESS-{number}", f"10.0.0.{number}")
        clock.now += 1
    assert len(counted._here._moments) < 10 * WINDOW
