"""What becomes of responses that fail, and of requests that come together."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace

import pytest
from twisted.web.test.requesthelper import DummyChannel

from dynamo.requests import Request
from tests.conftest import Servers


@pytest.fixture
def request_of_daphne() -> Request:
    channel = DummyChannel()
    channel.factory = SimpleNamespace(server=SimpleNamespace(root_path="", protocol_connected=lambda request: None))
    request = Request(channel)
    request.channel.transport.abortConnection = lambda: setattr(request, "aborted", True)
    return request


def test_is_cut_short_once_it_has_begun(request_of_daphne: Request) -> None:
    request_of_daphne._response_started = True
    request_of_daphne.handle_exception(RuntimeError())  # that of Daphne raises, which ends its care for all others
    assert request_of_daphne.aborted


@pytest.mark.parametrize("second", [b"/livez", b"/\x80"], ids=["as good", "refused by the server"])
async def test_answers_each_of_two_requests_that_come_together(servers: Servers, second: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", servers.http.port)
    for path in (b"/livez", second):
        writer.write(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % path)
    answers = b""
    async with asyncio.timeout(5):
        while answers.count(b"HTTP/1.1 ") < 2:
            more = await reader.read(65_536)
            assert more, answers
            answers += more
    writer.close()
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"200" if second == b"/livez" else b"400"]
