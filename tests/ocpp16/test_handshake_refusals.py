"""Refused handshakes: how many are too many, and what staff can see of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ocpp16.models import RefusedConnection
from tests.charge_point import basic, loopback_address
from tests.conftest import eventually

from .knocking import knock, status_of

KEY = bytes(range(0xE0, 0xF4))


@pytest.fixture
def port(servers: Any) -> int:
    return servers.charge_points.port


@pytest.fixture
def identity(port: int, make_charge_point: Any) -> str:
    """A charge point that needs no credentials."""
    return make_charge_point().identity


async def test_throttles_ten_failures_a_minute(port: int, make_charge_point: Any) -> None:
    identity, other = (make_charge_point(password=KEY.hex()).identity for _ in "ab")
    address = loopback_address()
    for _ in range(10):
        assert await status_of(port, f"/ocpp16/{identity}", address=address) == 401
    async with await knock(port, f"/ocpp16/{identity}", address=address, authorization=basic(identity, KEY)) as answer:
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0
    good, neighbour = basic(identity, KEY), basic(other, KEY)
    assert await status_of(port, f"/ocpp16/{identity}", authorization=good) == 101
    assert await status_of(port, f"/ocpp16/{other}", authorization=neighbour, address=address) == 101


async def test_throttles_an_address_that_guesses_identities(port: int, make_charge_point: Any) -> None:
    identity = make_charge_point(password=KEY.hex()).identity
    good, address = basic(identity, KEY), loopback_address()
    for number in range(120):
        assert await status_of(port, f"/ocpp16/GUESS-{number}", address=address) == 404
    assert await status_of(port, "/ocpp16/GUESS-120", address=address) == 429
    assert await status_of(port, f"/ocpp16/{identity}", authorization=good, address=address) == 429
    assert await status_of(port, f"/ocpp16/{identity}", authorization=good) == 101


async def test_never_counts_successes(port: int, make_charge_point: Any) -> None:
    identity = make_charge_point(password=KEY.hex()).identity
    good, address = basic(identity, KEY), loopback_address()
    for attempt in range(30):
        assert await status_of(port, f"/ocpp16/{identity}", authorization=good, address=address) == 101
        if attempt % 4 == 0:
            assert await status_of(port, f"/ocpp16/{identity}", address=address) == 401


async def test_lets_fifty_charge_points_in_behind_one_address(port: int, make_charge_point: Any) -> None:
    address = loopback_address()
    rows = [make_charge_point(password=KEY.hex()) for _ in range(50)]
    knocks = [
        status_of(port, f"/ocpp16/{row.identity}", authorization=basic(row.identity, KEY), address=address)
        for row in rows
    ]
    assert set(await asyncio.gather(*knocks)) == {101}


async def test_records_a_refusal_once_per_kind_and_counts(port: int, make_charge_point: Any) -> None:
    identity, address = make_charge_point(password=KEY.hex()).identity, loopback_address()
    for _ in range(3):
        await status_of(port, f"/ocpp16/{identity}", protocols="ocpp2.0.1, ocpp1.5", address=address)
    await status_of(port, f"/ocpp16/{identity}", address=address)
    await status_of(port, "/ocpp16/STRANGER%20%00", address=address)
    await status_of(port, "/ocpp16/STRANGER%201?x=1", address=address)
    refusals = RefusedConnection.objects.filter(address=address)
    await eventually(lambda: sum(refusals.values_list("count", flat=True)) == 6)
    found = {(row.identity, row.reason): row for row in refusals}
    assert found[identity, "no subprotocol ocpp1.6 offered"].count == 3
    assert found[identity, "no subprotocol ocpp1.6 offered"].protocols == "ocpp2.0.1, ocpp1.5"
    assert found[identity, "no credentials"].count == 1
    assert found["STRANGER 1", "unknown identity"].path == "/ocpp16/STRANGER%201"
    assert found["", "identity is not acceptable"].path == "/ocpp16/STRANGER%20%00"


@pytest.mark.parametrize("line", ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: short", "Host: two"])
async def test_records_what_is_no_handshake(port: int, identity: str, line: str) -> None:
    address = loopback_address()
    async with await knock(port, f"/ocpp16/{identity}", more=line, address=address) as answer:
        assert answer.status == 400
    refusal = await eventually(RefusedConnection.objects.filter(address=address).first)
    assert (refusal.reason, refusal.path) == ("no WebSocket handshake", f"/ocpp16/{identity}")


@pytest.mark.parametrize("target", ["/foo", "/", "/ocpp16/STRANGER"])
async def test_finds_no_other_door_whatever_the_subprotocol_is(port: int, target: str) -> None:
    address = loopback_address()
    assert await status_of(port, target, protocols="é", more="Origin: http://[", address=address) == 404
    refusal = await eventually(RefusedConnection.objects.filter(address=address).first)
    assert (refusal.path, refusal.protocols) == (target, "??")
