"""Who reads a long answer slowly, or not at all: it is made no faster than it is read."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chargepoints.models import ChargePoint
from tests.conftest import eventually
from tests.metrics import Read, moves_of
from tests.servers import ServerProcess
from tests.world import superuser

pytestmark = pytest.mark.timeout(300)

UNSENT_SECONDS = 3
# 16 MB: more than the buffers of the kernel take.
ROWS = 10_000
WORD = "d" * 255
WORDS = ("model", "serial_number", "charge_box_serial_number", "firmware_version", "meter_type", "iccid")


@pytest.fixture(scope="module", params=[{}])
def own_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    return request.param


@pytest.fixture
def export(server: ServerProcess, organization: Any) -> bytes:
    """The request for all charge points as a file."""
    long = dict.fromkeys(WORDS, WORD)
    rows = (ChargePoint(organization=organization, identity=f"CP-{number}", **long) for number in range(ROWS))
    ChargePoint.objects.bulk_create(rows, batch_size=1000)
    login = Client()
    login.force_login(superuser())
    url = reverse("admin:chargepoints_chargepoint_changelist")
    login.get(url)
    token, session = (login.cookies[name].value for name in ("csrftoken", "sessionid"))
    body = f"action=export_as_csv&select_across=1&_selected_action={ChargePoint.objects.all()[0].pk}"
    body += f"&csrfmiddlewaretoken={token}"
    lines = [
        f"POST {url} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Connection: close",
        f"Cookie: sessionid={session}; csrftoken={token}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@pytest.fixture
def moved(export: bytes, server: ServerProcess) -> Read:
    return moves_of([server])


async def ask(server: ServerProcess, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a request whose answer nobody reads yet."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    peer.connect(("127.0.0.1", server.port))
    reader, writer = await asyncio.open_connection(sock=peer)
    writer.transport.pause_reading()
    writer.write(request)
    return reader, writer


async def test_goes_on_when_it_is_read_again(server: ServerProcess, export: bytes, moved: Read) -> None:
    reader, writer = await ask(server, export)
    await eventually(lambda: moved("dynamo_database_wait_seconds_count") > 1, 60)  # one is for the metrics
    writer.transport.resume_reading()
    answer = await reader.read()
    lines = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", answer)  # without the marks of the chunks
    assert lines.count(WORD.encode()) == ROWS * len(WORDS)
    assert answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("own_environment", [{"TEST_UNSENT_SECONDS": str(UNSENT_SECONDS)}], ids=["soon"], indirect=True)
async def test_hangs_up_on_who_does_not_read(server: ServerProcess, export: bytes, moved: Read) -> None:
    reader, writer = await ask(server, export)
    began = time.monotonic()
    await eventually(lambda: moved("dynamo_http_responses_unread_total") == 1, 60)
    assert time.monotonic() - began >= UNSENT_SECONDS
    writer.transport.resume_reading()
    with pytest.raises(ConnectionResetError):
        await reader.read()
