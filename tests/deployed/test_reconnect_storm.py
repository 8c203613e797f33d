"""Every charge point comes back at once, as after a power cut or a restart."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from chargepoints import credentials
from chargepoints.models import ChargePoint, Transaction
from tests.charge_point import basic, loopback_address
from tests.metrics import Read

from .fleet import START

ALL_IN_SECONDS = 180
PASSWORD = "password-of-16-b"
BOOT = {"chargePointVendor": "Vendor", "chargePointModel": "Model"}


@dataclass
class Storm:
    """What the charge points saw."""

    statuses: list[int] = field(default_factory=list)
    started: dict[str, int] = field(default_factory=dict)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)


def masked(message: list[Any]) -> bytes:
    """A text frame under a mask of zeros."""
    payload = json.dumps(message).encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


async def answer(reader: asyncio.StreamReader) -> Any:
    """The payload of the next text frame; pings are passed over."""
    while True:
        kind, length = await reader.readexactly(2)
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        payload = await reader.readexactly(length)
        if kind == 0x81:
            return json.loads(payload)[2]


async def knock(port: int, identity: str) -> tuple[int, int, asyncio.StreamReader, asyncio.StreamWriter]:
    """One handshake: its status, the seconds after which to come again, and the streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(loopback_address(), 0))
    lines = [
        f"GET /ocpp16/{identity} HTTP/1.1",
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: ocpp1.6",
        f"Authorization: {basic(identity, PASSWORD)}",
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    after = head.partition("\r\nretry-after: ")[2].partition("\r\n")[0]
    return int(head.split()[1]), int(after or 0), reader, writer


async def come_back(storm: Storm, port: int, identity: str) -> None:
    """Knock until let in, then boot and start a transaction."""
    while True:
        status, after, reader, writer = await knock(port, identity)
        storm.statuses.append(status)
        if status == 101:
            break
        writer.close()
        assert status == 503, status
        assert after > 0
        await asyncio.sleep(after)  # as it was told
    storm.writers.append(writer)
    writer.write(masked([2, "1", "BootNotification", BOOT]) + masked([2, "2", "StartTransaction", START]))
    assert (await answer(reader))["status"] == "Accepted"
    storm.started[identity] = (await answer(reader))["transactionId"]


def provision(organization: Any, count: int) -> list[str]:
    identities = [f"STORM-{number}" for number in range(count)]
    digest = credentials.make_digest(PASSWORD.encode())
    rows = (ChargePoint(organization=organization, identity=name, password_digest=digest) for name in identities)
    ChargePoint.objects.bulk_create(rows, batch_size=1000)
    return identities


@pytest.mark.timeout(600)
async def test_lets_everybody_in_and_loses_nothing(
    deployment: Any, servers: Any, organization: Any, moved: Read, scale: Any
) -> None:
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    identities, storm = provision(organization, scale(500, 10_000)), Storm()
    ports = [worker.port for worker in deployment.workers]
    began = time.monotonic()
    returns = []
    for number, name in enumerate(identities):
        returns.append(asyncio.create_task(come_back(storm, ports[number % 2], name)))
        if number % 100 == 0:
            await asyncio.sleep(0)  # those before knock as soon as they are connected
    await asyncio.gather(*returns)
    seconds = time.monotonic() - began
    assert seconds < ALL_IN_SECONDS
    assert ChargePoint.objects.online().count() == len(identities)
    stored = Transaction.objects.values_list("charge_point__identity", "pk")
    assert dict(stored) == storm.started
    assert ChargePoint.objects.filter(last_boot_at=None).count() == 0
    assert moved("dynamo_charge_points_connected") == len(identities)
    assert moved("dynamo_handshakes_refused_total") == storm.statuses.count(503)
    assert moved("dynamo_handshakes_waiting") == 0
    for writer in storm.writers:
        writer.transport.abort()
