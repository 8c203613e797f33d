"""What becomes of a response whose application fails."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from twisted.web.test.requesthelper import DummyChannel

from dynamo.requests import Request


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
