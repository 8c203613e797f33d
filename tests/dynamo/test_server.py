"""The server process: its bounds on bodies, its port, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from chargepoints.models import ChargePoint, Notification
from ocpp16.models import Command, Message
from tests.charge_point import ChargePointClient
from tests.servers import ROOT, STOP_SECONDS, ServerProcess, free_port

MEBIBYTE = 1024 * 1024
PATH = "/api/v1/ocpp16/reset"


@pytest.fixture
def port(servers: Any) -> int:
    return servers.http.port


@pytest.fixture
def own_server(transactional_db: None, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server process for this test alone, which may end it."""
    process = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log")
    process.start()
    yield process
    if process.process.poll() is None:
        process.stop(signal.SIGKILL)


@pytest.fixture
async def socket_of(own_server: ServerProcess, make_charge_point: Any) -> Any:
    """Connects charge points to the server of this test."""

    async def open_socket() -> ChargePointClient:
        identity = make_charge_point().identity
        client = ChargePointClient(f"ws://127.0.0.1:{own_server.port}/ocpp16/{identity}", identity)
        await client.connect()
        return client

    return open_socket


async def stop(server: ServerProcess, number: int = signal.SIGTERM) -> int:
    server.process.send_signal(number)
    return await asyncio.to_thread(server.process.wait, STOP_SECONDS)


async def exchange(port: int, *chunks: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes as an HTTP request; returns the status and the JSON of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    body = await asyncio.wait_for(reader.readexactly(length), 10)
    writer.close()
    return int(head.split()[1]), json.loads(body)


def post(*lines: str) -> bytes:
    return "\r\n".join([f"POST {PATH} HTTP/1.1", "Host: h", *lines, "", ""]).encode()


def is_too_large(answer: tuple[int, dict[str, Any]]) -> bool:
    status, body = answer
    assert list(body) == ["error"]
    assert body["error"]["details"] == {}
    assert body["error"]["message"]
    return (status, body["error"]["code"]) == (413, "payload_too_large")


async def test_refuses_a_body_beyond_a_mebibyte(port: int) -> None:
    body = b"x" * (MEBIBYTE + 1)
    assert is_too_large(await exchange(port, post(f"Content-Length: {len(body)}"), body))


async def test_refuses_a_large_body_before_it_has_come(port: int) -> None:
    assert is_too_large(await exchange(port, post(f"Content-Length: {1024 * MEBIBYTE}")))


async def test_refuses_a_large_body_instead_of_asking_for_it(port: int) -> None:
    lines = (f"Content-Length: {2 * MEBIBYTE}", "Expect: 100-continue")
    assert is_too_large(await exchange(port, post(*lines)))


async def test_refuses_a_chunked_body_beyond_a_mebibyte(port: int) -> None:
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert is_too_large(await exchange(port, post("Transfer-Encoding: chunked"), *[chunk] * 17, b"0\r\n\r\n"))


async def test_takes_a_body_of_a_mebibyte(port: int) -> None:
    status, body = await exchange(port, post(f"Content-Length: {MEBIBYTE}"), b"x" * MEBIBYTE)
    assert (status, body["error"]["code"]) == (401, "unauthorized")


async def test_serves_on_after_a_refused_body(port: int) -> None:
    await exchange(port, post(f"Content-Length: {2 * MEBIBYTE}"), b"x" * 2 * MEBIBYTE)
    status, body = await exchange(port, post("Content-Length: 0"))
    assert status == 401, body


async def test_gives_up_on_a_body_that_never_ends(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post("Transfer-Encoding: chunked"))
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with pytest.raises(ConnectionError):
        for _ in range(2000):
            writer.write(chunk)
            await writer.drain()
    del reader


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_says_goodbye_to_every_socket(own_server: ServerProcess, socket_of: Any, number: int) -> None:
    clients = [await socket_of() for _ in range(3)]
    started = time.monotonic()
    assert await stop(own_server, number) == 0
    assert time.monotonic() - started < 8
    for client in clients:
        assert (await client.closed())[0] == 1001
    assert not ChargePoint.objects.exclude(channel_name="").exists()


async def test_lets_nobody_in_while_it_ends(own_server: ServerProcess, socket_of: Any) -> None:
    clients = [await socket_of() for _ in range(5)]
    own_server.process.send_signal(signal.SIGTERM)
    for client in clients:
        await client.closed()
        with pytest.raises(ConnectionRefusedError):
            await client.connect()
    assert await asyncio.to_thread(own_server.process.wait, STOP_SECONDS) == 0
    assert not ChargePoint.objects.exclude(channel_name="").exists()


async def test_finishes_what_it_took_before_it_ends(own_server: ServerProcess, socket_of: Any) -> None:
    client = await socket_of()
    await client.call("Heartbeat")
    for number in range(40):
        await client.send([2, f"t{number}", "DataTransfer", {"vendorId": str(number)}])
    await client.frame()
    assert await stop(own_server) == 0
    await client.closed()
    answered = 1 + client.others.qsize()
    assert Notification.objects.count() == answered
    assert Message.objects.filter(direction="out", action="DataTransfer").count() == answered
    assert Message.objects.filter(direction="in", action="DataTransfer").count() >= answered


async def test_ends_a_waiting_command_when_it_ends(own_server: ServerProcess, socket_of: Any, make_key: Any) -> None:
    client = await socket_of()
    body = json.dumps({"charge_point_id": client.identity, "type": "Soft"}).encode()
    lines = (f"Authorization: Bearer {make_key()}", "Content-Type: application/json", f"Content-Length: {len(body)}")
    asked = asyncio.create_task(exchange(own_server.port, post(*lines), body))
    await client.expect("Reset")
    assert await stop(own_server) == 0
    status, answer = await asked
    assert (status, answer["error"]["code"]) == (422, "charge_point_offline")
    assert Command.objects.get().state == Command.State.LOST


async def test_leaves_a_lease_when_it_is_killed(own_server: ServerProcess, socket_of: Any) -> None:
    await socket_of()
    await stop(own_server, signal.SIGKILL)
    row = ChargePoint.objects.get()
    assert row.channel_name
    assert (row.online_until - row.connected_at).total_seconds() <= 90


ENDS_AT_ONCE = """
import asyncio, os, signal, sys
import django

django.setup()
from dynamo.server import serve

async def work():
    try:
        await asyncio.Future()
    finally:
        print("cancelled")

serve("127.0.0.1", int(sys.argv[1]), on_ready=lambda: os.kill(os.getpid(), signal.SIGINT), beside=[work])
print("returned")
"""


def test_ends_in_order_at_a_signal_that_comes_as_soon_as_it_listens() -> None:
    command = [sys.executable, "-c", ENDS_AT_ONCE, str(free_port())]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("cancelled\nreturned\n", "")


def test_says_in_one_sentence_that_the_port_is_in_use(transactional_db: None, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        process = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log", port=port)
        with pytest.raises(RuntimeError, match=f"Cannot listen on 127.0.0.1:{port}: Address already in use"):
            process.start()
    assert process.process.wait(STOP_SECONDS) == 1
    assert len(process.log.read_text().strip().splitlines()) == 1


LOADS = """
import sys
import dynamo.asgi, dynamo.server, dynamo.urls
from ocpp16.payloads import read_call
read_call("Heartbeat", {})
print("ocpp" in sys.modules)
"""


@pytest.mark.without_services
def test_loads_no_library_that_only_simulated_charge_points_need(tmp_path: Path) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "dynamo.settings", "DYNAMO_DATA_DIR": str(tmp_path)}
    told = subprocess.check_output([sys.executable, "-c", LOADS], cwd=ROOT, env=environment, text=True)
    assert told == "False\n"
