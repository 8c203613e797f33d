"""The API's own way through Django leaves out nothing that the pages' has and the API needs."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator

from dynamo.api import ApiHandler
from dynamo.headers import HEADERS

# None of these requests reads the database, but each hands its thread's connection back, which another test may have
# opened: that too counts as access.
pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/ocpp16/charge_points/status"


async def ask(host: str = "localhost") -> tuple[int, dict[str, str], bytes]:
    """The status, headers and body that a request for PATH is answered with."""
    headers = [(b"host", host.encode()), (b"x-request-id", b"order-66")]
    scope = {"type": "http", "method": "GET", "path": PATH, "query_string": b"", "headers": headers, "scheme": "http"}
    communicator = ApplicationCommunicator(ApiHandler(), scope)
    await communicator.send_input({"type": "http.request", "body": b""})
    start, body = await communicator.receive_output(5), await communicator.receive_output(5)
    given = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return start["status"], given, body["body"]


def check(headers: dict[str, str]) -> None:
    assert headers["x-request-id"] == "order-66"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert {name: headers[name.lower()] for name in HEADERS} == HEADERS


async def test_refuses_a_request_without_a_key() -> None:
    status, headers, body = await ask()
    assert (status, headers["www-authenticate"], headers["content-length"]) == (401, "Bearer", str(len(body)))
    check(headers)


async def test_refuses_another_host(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["csms.example.com"]
    status, headers, body = await ask("evil.example.com")
    assert (status, b'"validation_error"' in body) == (400, True)
    check(headers)


async def test_tells_of_a_fault_in_the_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(handler: ApiHandler, request: Any) -> Any:
        raise RuntimeError

    monkeypatch.setattr(ApiHandler, "view", fail)
    status, headers, body = await ask()
    assert (status, b'"internal_error"' in body) == (500, True)
    check(headers)


async def test_leads_to_tls(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    status, headers, _ = await ask()
    assert (status, headers["location"]) == (301, f"https://localhost{PATH}")
    check(headers)
