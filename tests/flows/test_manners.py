"""What the API does for well-behaved clients: no body twice, long ones compressed, and a word before something goes."""

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from django.test import Client
from django.urls import path
from drf_spectacular.generators import SchemaGenerator

from apikeys.deprecation import deprecated
from apikeys.views import MeView
from chargepoints.views import ChargePointStatusView
from ocpp16.commands import COMMANDS
from ocpp16.views import CommandView
from tests.api import Api, error_of, make_api

ROOT, ME = "/api/v1/ocpp16", "/api/v1/me"
STATUSES = f"{ROOT}/charge_points/status"


async def raw(
    api: httpx2.AsyncClient, url: str, encoding: str = "gzip", **headers: str
) -> tuple[httpx2.Response, bytes]:
    """The response to a GET, and its body as it came over the wire."""
    async with api.stream("GET", url, headers={"Accept-Encoding": encoding, **headers}) as response:
        return response, b"".join([part async for part in response.aiter_raw()])


@pytest.mark.parametrize("url", [ME, STATUSES])
async def test_sends_no_body_again(api: Any, url: str) -> None:
    first = await api.get(url)
    tag = first.headers["ETag"]
    for named in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        again = await api.get(url, headers={"If-None-Match": named})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        assert again.headers["X-Request-Id"]
    assert (await api.get(url, headers={"If-None-Match": '"other"'})).json() == first.json()


@pytest.mark.parametrize("url", [ME, STATUSES, "/api/v1/events"])
async def test_names_what_it_would_send_to_who_asks_for_the_headers_alone(api: Any, url: str) -> None:
    whole = await api.get(url)
    head = await api.head(url)
    assert (head.status_code, head.headers["ETag"], head.content) == (200, whole.headers["ETag"], b"")
    assert (await api.head(url, headers={"If-None-Match": head.headers["ETag"]})).status_code == 304
    assert "ETag" not in (await api.head("/api/v1/sessions.csv")).headers


async def test_sends_nothing_but_what_was_named(api: Any) -> None:
    tag = (await api.get(ME)).headers["ETag"]
    assert (await api.get(ME, headers={"If-Match": f'"other", {tag}'})).status_code == 200
    error_of(await api.get(ME, headers={"If-Match": '"other"'}), 412, "precondition_failed")


async def test_sends_what_has_changed(api: Any, make_charge_point: Any) -> None:
    tag = (await api.get(STATUSES)).headers["ETag"]
    make_charge_point("CP-NEW")
    response = await api.get(STATUSES, headers={"If-None-Match": tag})
    assert (response.status_code, response.json()["total"]) == (200, 1)
    assert response.headers["ETag"] != tag


async def test_tells_a_stranger_nothing_by_a_tag(api: Any, servers: Any) -> None:
    tag = (await api.get(STATUSES)).headers["ETag"]
    async with httpx2.AsyncClient(base_url=servers.http_url) as stranger:
        for named in (tag, "*"):
            response = await stranger.get(STATUSES, headers={"If-None-Match": named})
            assert (response.status_code, response.json()["error"]["code"]) == (401, "unauthorized")
            assert "ETag" not in response.headers


async def test_gives_no_tag_to_commands(api: Any) -> None:
    response = await api.post(f"{ROOT}/reset", json={"charge_point_id": "NONE", "type": "Soft"})
    assert "ETag" not in response.headers


async def test_compresses_a_long_body_for_who_accepts_it(api: Any, make_charge_point: Any) -> None:
    for _ in range(20):
        make_charge_point()
    plain, body = await raw(api, STATUSES, "identity")
    assert "Content-Encoding" not in plain.headers
    assert len(body) == int(plain.headers["Content-Length"]) > 1024
    short, compressed = await raw(api, STATUSES)
    assert short.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in short.headers["Vary"]
    assert len(compressed) == int(short.headers["Content-Length"]) < len(body)
    assert gzip.decompress(compressed) == body
    again, nothing = await raw(api, STATUSES, **{"If-None-Match": short.headers["ETag"]})
    assert (again.status_code, nothing) == (304, b"")


async def test_leaves_a_short_body_as_it_is(api: Any) -> None:
    for url in (ME, f"{ROOT}/nothing"):
        response, body = await raw(api, url)
        assert "Content-Encoding" not in response.headers
        assert json.loads(body)


async def test_compresses_a_long_answer_of_a_charge_point(api: Any, charge_point: Any) -> None:
    keys = [{"key": f"Key{number}", "readonly": True, "value": 50 * "v"} for number in range(60)]
    body = {"charge_point_id": charge_point.identity, "command": "GetConfiguration", "payload": {}}
    asking = asyncio.create_task(api.post(f"{ROOT}/send_command", json=body, headers={"Accept-Encoding": "gzip"}))
    await (await charge_point.expect("GetConfiguration")).reply(configurationKey=keys)
    answer = await asking
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.json()["response"] == {"configurationKey": keys}


mark = deprecated(
    since=datetime(2026, 1, 1, tzinfo=UTC),
    sunset=datetime(2027, 1, 1, tzinfo=UTC),
    link="https://docs.example.com/status",
)


@mark
class OldStatusView(ChargePointStatusView):
    pass


@mark
class OldCommandView(CommandView):
    pass


PATTERNS = (
    path("api/v1/old", OldStatusView.as_view(), name="old"),
    path("api/v1/old/reset", OldCommandView.as_view(endpoint=COMMANDS["reset"]), name="reset"),
    path("api/v1/me", MeView.as_view(), name="me"),
)
HEADERS = {
    "Deprecation": "@1767225600",
    "Sunset": "Fri, 01 Jan 2027 00:00:00 GMT",
    "Link": '<https://docs.example.com/status>; rel="deprecation"; type="text/html"',
}


@pytest.fixture
def old_api(db: None, settings: Any) -> Api:
    settings.ROOT_URLCONF = PATTERNS
    return make_api()


def told(response: Any) -> dict[str, str]:
    return {name: response.headers[name] for name in HEADERS if name in response.headers}


def test_says_of_what_is_deprecated_when_it_goes(old_api: Api) -> None:
    answers = [
        old_api.client.get("/api/v1/old", headers=old_api.headers({})),
        old_api.client.post("/api/v1/old/reset", {}, "application/json", headers=old_api.headers({})),
        Client().get("/api/v1/old"),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 401]
    assert [told(answer) for answer in answers] == [HEADERS] * 3


def test_says_nothing_of_what_is_not_deprecated(old_api: Api) -> None:
    response = old_api.client.get("/api/v1/me", headers=old_api.headers({}))
    assert (response.status_code, told(response)) == (200, {})


def test_marks_what_is_deprecated_in_the_schema() -> None:
    paths = SchemaGenerator(patterns=list(PATTERNS)).get_schema(public=True)["paths"]
    assert paths["/api/v1/old"]["get"]["deprecated"] is True
    assert paths["/api/v1/old/reset"]["post"]["deprecated"] is True
    assert "deprecated" not in paths["/api/v1/me"]["get"]


def test_marks_nothing_yet(db: None) -> None:
    paths = SchemaGenerator().get_schema(public=True)["paths"]
    assert not [item for methods in paths.values() for item in methods.values() if "deprecated" in item]
