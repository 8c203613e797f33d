"""Charge points that are gone without a word: a process that froze, a network that swallows everything."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
import time
from typing import Any

import pytest

from chargepoints.models import ChargePoint
from tests.conftest import eventually
from tests.metrics import Read
from tests.ocpp16.knocking import Answer, knock

OFFLINE_SECONDS, SLACK = 60, 5
PING, PONG = b"\x89\x00", b"\x8a\x80" + bytes(4)
SO_ATTACH_FILTER = 26
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF_RET | BPF_K: keep nothing


async def freeze(client: Answer) -> None:
    """Its process stops after the first ping: the kernel still takes what comes, and nobody reads it."""
    assert await asyncio.wait_for(client.reader.readexactly(2), 10) == PING
    client.writer.write(PONG)
    await client.writer.drain()
    client.writer.transport.pause_reading()


async def cut_off(client: Answer) -> None:
    """Its network is gone: no packet arrives, so that none is acknowledged."""
    program = struct.pack("HL", 1, ctypes.addressof(DROP_ALL))
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


async def seconds_until_offline(row: Any) -> float:
    began = time.monotonic()
    await eventually(ChargePoint.objects.offline().filter(pk=row.pk).exists, 2 * OFFLINE_SECONDS)
    return time.monotonic() - began


async def reset(api: Any, row: Any) -> str:
    """How a command ends."""
    answer = await api.post("/api/v1/ocpp16/reset", json={"charge_point_id": row.identity, "type": "Soft"})
    return answer.json()["error"]["code"]


@pytest.mark.timeout(180)
async def test_is_offline_within_a_minute(servers: Any, api: Any, make_charge_point: Any, moved: Read) -> None:
    ways = [freeze, cut_off, cut_off]
    rows = [make_charge_point(), make_charge_point(), make_charge_point(send_pings=False)]
    sockets = [await knock(servers.charge_points.port, f"/ocpp16/{row.identity}") for row in rows]
    await asyncio.gather(*(go(client) for go, client in zip(ways, sockets, strict=True)))
    waits = [asyncio.create_task(seconds_until_offline(row)) for row in rows]
    ends = await asyncio.gather(*(reset(api, row) for row in rows))
    assert set(ends) <= {"timeout", "charge_point_offline"}
    assert max(await asyncio.gather(*waits)) < OFFLINE_SECONDS + SLACK
    assert [await reset(api, row) for row in rows] == ["charge_point_offline"] * 3
    assert moved("dynamo_connections_closed_total", reason="silent") >= 1
    assert moved("dynamo_commands_total", outcome="timed_out") == ends.count("timeout")
    assert moved("dynamo_charge_points_connected") == 0
    for client in sockets:
        client.writer.transport.abort()
