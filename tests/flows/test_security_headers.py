"""What every kind of response tells browsers, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2
import pytest
from django.test import Client

from dynamo.headers import HEADERS
from tests.api import make_api
from tests.ocpp16.knocking import knock
from tests.world import superuser

API = "/api/v1/ocpp16"


def check(headers: Mapping[str, str]) -> None:
    assert {name: headers.get(name) for name in HEADERS} == HEADERS
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 302),
        ("GET", "/livez", 200),
        ("GET", "/readyz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/admin/", 302),
        ("GET", "/admin/login/", 200),
        ("POST", "/admin/login/", 403),
        ("GET", "/static/dynamo/admin.css", 200),
        ("GET", "/static/nothing.css", 404),
        ("GET", "/nothing", 404),
        ("GET", "/admin/nothing/", 302),
        ("GET", "/api/docs", 200),
        ("GET", "/api/schema", 200),
        ("GET", "/api/nothing", 404),
        ("GET", f"{API}/charge_points/status", 401),
    ],
)
async def test_is_on_every_kind_of_response(servers: Any, method: str, path: str, status: int) -> None:
    async with httpx2.AsyncClient(base_url=servers.http_url) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    check(response.headers)


async def test_is_on_answers_of_the_api_which_nobody_may_keep(api: httpx2.AsyncClient) -> None:
    requests = [("GET", "charge_points/status", 200), ("POST", "reset", 400), ("PUT", "reset", 405)]
    for method, path, status in requests:
        response = await api.request(method, f"{API}/{path}")
        assert response.status_code == status
        check(response.headers)
        assert response.headers["Cache-Control"] == "no-store"


async def test_is_on_a_refusal_of_a_large_body(api: httpx2.AsyncClient) -> None:
    response = await api.post(f"{API}/reset", content=b"x" * 1_100_000)
    assert response.status_code == 413
    check(response.headers)


async def test_is_on_a_refused_handshake(servers: Any) -> None:
    async with await knock(servers.charge_points.port, "/ocpp16/STRANGER") as answer:
        assert answer.status == 404
        check({name: answer.headers.get(name.lower(), "") for name in (*HEADERS, "Content-Security-Policy")})


def test_is_on_pages_of_staff(db: None) -> None:
    client = Client()
    client.force_login(superuser())
    for path in ("/admin/", "/admin/chargepoints/chargepoint/", "/admin/chargepoints/chargepoint/0/change/"):
        check(client.get(path).headers)


def test_is_on_a_fault_and_on_a_wrong_host(db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    def fault(*args: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr("chargepoints.views.shown", fault)
    response = make_api().get("/charge_points/status")
    assert response.status_code == 500
    check(response.headers)
    settings.ALLOWED_HOSTS = ["csms.example.com"]
    settings.SECURE_SSL_REDIRECT = True
    for path in ("/admin/", "/api/nothing", "/ocpp16/CP-1"):
        response = Client().get(path, headers={"Host": "elsewhere.example"})
        assert response.status_code == 400
        check(response.headers)


def test_insists_on_tls_only_where_there_is_tls(db: None, settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 3600
    assert "Strict-Transport-Security" not in Client().get("/admin/login/").headers
    assert Client().get("/admin/login/", secure=True).headers["Strict-Transport-Security"] == "max-age=3600"
