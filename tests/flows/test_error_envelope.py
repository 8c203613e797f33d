"""Every error on every path under /api/, as a client of the real server sees it."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.test import Client
from rest_framework.exceptions import APIException

from dynamo import errors, idempotency
from tests.api import error_of, make_api

ROOT, MEDIA_TYPE = "/api/v1/ocpp16", "unsupported_media_type"


def codes_of(kind: type[APIException]) -> set[str]:
    """Those that this kind of error and its own kinds have."""
    return set[str]().union([getattr(kind, "code", "")], *map(codes_of, kind.__subclasses__()))


def test_the_guide_tells_of_every_code() -> None:
    guide = (settings.BASE_DIR / "docs" / "api.md").read_text()
    ours = {*errors.CODES.values(), *codes_of(APIException)} - {""}
    ours |= {refusal["error"]["code"] for refusal in idempotency.REFUSALS.values()}
    assert {code for code in ours if f"`{code}`" not in guide} == set()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v2/ocpp16/reset",
        f"{ROOT}/",
        f"{ROOT}/reset/",
        f"{ROOT}/Reset",
        f"{ROOT}/charge_points/status/",
        f"{ROOT}/active_transactions/",
        f"{ROOT}/active_transactions/a/b",
        "/api/%0A",
        "/api/%FF%00",
        "/api/schema/",
        "/api//schema",
    ],
)
async def test_knows_no_other_address(servers: Any, api: Any, method: str, path: str) -> None:
    response = await api.request(method, path, follow_redirects=False)
    error_of(response, 404, "not_found")


async def test_unpacks_no_body(api: Any) -> None:
    body = json.dumps({"charge_point_id": "NONE", "type": "Soft"}).encode()
    headers = {"Content-Type": "application/json"}
    for encoding in ("gzip", "br", "identity, gzip"):
        packed = {**headers, "Content-Encoding": encoding}
        error_of(await api.post(f"{ROOT}/reset", content=gzip.compress(body), headers=packed), 415, MEDIA_TYPE)
    plain = await api.post(f"{ROOT}/reset", content=body, headers={**headers, "Content-Encoding": "identity"})
    error_of(plain, 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_takes_commands_by_post_only(api: Any, method: str) -> None:
    response = await api.request(method, f"{ROOT}/reset")
    error_of(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["charge_points/status", "active_transactions/CP-1"])
async def test_gives_reads_by_get_only(api: Any, method: str, path: str) -> None:
    response = await api.request(method, f"{ROOT}/{path}")
    error_of(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD"


async def test_answers_head_like_get_without_a_body(api: Any) -> None:
    response = await api.head(f"{ROOT}/charge_points/status")
    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "nonsense", "application/json;q=0", ""])
async def test_ignores_what_the_caller_accepts(api: Any, accept: str) -> None:
    response = await api.get(f"{ROOT}/charge_points/status?format=api", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    error_of(await api.get(f"{ROOT}/nothing", headers={"Accept": accept}), 404, "not_found")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"])
async def test_takes_json_only(api: Any, media_type: str) -> None:
    response = await api.post(f"{ROOT}/reset", content=b"{}", headers={"Content-Type": media_type})
    error_of(response, 415, "unsupported_media_type")


def test_takes_no_forms(db: None) -> None:
    api = make_api()
    response = api.client.post(f"{ROOT}/reset", {"type": "Soft"}, headers=api.headers({}))
    error_of(response, 415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON"])
async def test_takes_json_with_parameters(api: Any, media_type: str) -> None:
    body = json.dumps({"charge_point_id": "NONE", "type": "Soft"}).encode()
    response = await api.post(f"{ROOT}/reset", content=body, headers={"Content-Type": media_type})
    error_of(response, 404, "not_found")


@pytest.mark.parametrize("chunked", [False, True])
async def test_refuses_a_body_that_is_too_large(api: Any, chunked: bool) -> None:
    body = b'{"charge_point_id": "' + b"x" * 1_100_000 + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    headers = {"Content-Type": "application/json"}
    response = await api.post(f"{ROOT}/reset", content=chunks() if chunked else body, headers=headers)
    assert response.status_code == 413


def test_names_a_body_that_is_too_large(db: None) -> None:
    error_of(make_api().post("reset", b'{"a": "' + b"x" * 1_100_000 + b'"}'), 413, "payload_too_large")


async def test_returns_the_request_id_of_the_caller_if_it_is_sane(api: Any) -> None:
    given = await api.get(f"{ROOT}/nothing", headers={"X-Request-Id": "order-66/a:b"})
    assert given.headers["X-Request-Id"] == "order-66/a:b"
    for insane in ("x" * 101, "a b", "<script>"):
        response = await api.get(f"{ROOT}/nothing", headers={"X-Request-Id": insane})
        assert len(response.headers["X-Request-Id"]) == 36


def test_leaks_nothing_of_a_fault_and_logs_it(
    db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*args: Any) -> Any:
        raise ZeroDivisionError("secret of the house")

    api = make_api()
    monkeypatch.setattr("chargepoints.views.shown", fault)
    response = api.get("/charge_points/status", X_Request_Id="find-me")
    error_of(response, 500, "internal_error")
    assert b"secret" not in response.content
    assert "find-me" in caplog.text
    assert "secret of the house" in caplog.text


def test_says_so_when_the_database_is_away(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: Any) -> Any:
        raise OperationalError("connection refused at 10.0.0.1")

    api = make_api()
    monkeypatch.setattr("chargepoints.views.shown", away)
    response = api.get("/charge_points/status")
    error_of(response, 503, "service_unavailable")
    assert b"10.0.0.1" not in response.content


def test_speaks_json_of_faults_outside_of_views(rf: Any) -> None:
    fault = errors.server_error(rf.get(f"{ROOT}/reset"))
    assert json.loads(fault.content)["error"]["code"] == "internal_error"
    assert fault.status_code == 500
    large = errors.bad_request(rf.get(f"{ROOT}/reset"), RequestDataTooBig())
    assert json.loads(large.content)["error"]["code"] == "payload_too_large"
    assert large.status_code == 413


def test_leaves_other_pages_their_own_errors(rf: Any) -> None:
    for response in (errors.server_error(rf.get("/admin/")), errors.bad_request(rf.get("/admin/"), ValueError())):
        assert response.headers["Content-Type"].startswith("text/html")


def test_speaks_json_where_no_view_was_reached(db: None, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["dynamo.example"]
    response = Client().get(f"{ROOT}/charge_points/status", headers={"Host": "elsewhere.example"})
    error_of(response, 400, "validation_error")
