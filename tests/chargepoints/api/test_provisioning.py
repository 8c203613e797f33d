"""Charge points that are registered and set up by the API, and the sockets that come of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from chargepoints.models import ChargePoint
from tests.api import RESOURCES, Api, error_of, make_api
from tests.charge_point import ChargePointClient, basic
from tests.ocpp16.knocking import status_of

NEW = {"charge_point_id": "CP-1"}
PASSWORD = "sixteen letters."


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


def register(api: Api, **body: Any) -> Any:
    response = api.post("charge-points", {**NEW, **body})
    assert response.status_code == 201, response.content
    return response.json()


def stored(identity: str = "CP-1") -> ChargePoint:
    return ChargePoint.objects.get(identity=identity)


def test_answers_the_password_once(api: Api) -> None:
    body = register(api)
    assert len(bytes.fromhex(body["password"])) == 20
    assert stored().check_password(body["password"].encode())
    assert (body["security_profile"], body["has_password"]) == (1, True)
    assert body["ocpp_endpoint"] == "ws://testserver/ocpp16/CP-1"
    later = api.get("/charge-points/CP-1").json()
    assert "password" not in later
    assert {**later, "password": body["password"]} == body


def test_says_where_the_new_charge_point_is(api: Api) -> None:
    response = api.post("charge-points", {"charge_point_id": "Hall 3/7".replace("/", " %2F ")})
    assert response.headers["Location"] == "/api/v1/charge-points/Hall%203%20%252F%207"
    found = api.client.get(response.headers["Location"], headers=api.headers({}))
    assert found.json()["charge_point_id"] == "Hall 3 %2F 7"


def test_takes_the_password_of_the_hardware(api: Api) -> None:
    assert register(api, password=PASSWORD, security_profile=2)["password"] == PASSWORD
    assert stored().check_password(PASSWORD.encode())
    assert stored().security_profile == 2


@pytest.mark.parametrize("profile", [0, 3])
def test_goes_without_a_password_when_told(api: Api, profile: int) -> None:
    body = register(api, security_profile=profile)
    assert (body["password"], body["has_password"], body["security_profile"]) == (None, False, profile)
    assert stored().security_profile == profile


def test_stores_what_else_is_said(api: Api) -> None:
    settings = {
        "description": "Car park",
        "registration_status": "Pending",
        "heartbeat_interval": 60,
        "assume_ocpp16": True,
        "send_pings": False,
    }
    body = register(api, **settings)
    assert {name: body[name] for name in settings} == settings
    assert stored().organization == api.organization


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("charge_point_id", value) for value in ("", " CP", "a/b", "a:b", "..", "x" * 49, 7, None, "a\nb", "\x7f")],
        *[("password", value) for value in ("", "fifteen letters", "x" * 41, "ü" * 21, 1234567890123456, None)],
        *[("security_profile", value) for value in (-1, 4, "1", True, None, 1.0)],
        *[("registration_status", value) for value in ("accepted", "", None)],
        *[("heartbeat_interval", value) for value in (0, -1, "60", 2**31)],
        *[("description", value) for value in ("x" * 201, 5, True)],
        *[("send_pings", value) for value in ("true", 1, None)],
        ("assume_ocpp16", "no"),
        ("organization", "Other"),
        ("password_digest", "0" * 96),
    ],
)
def test_refuses_what_it_cannot_store(api: Api, field: str, value: Any) -> None:
    error = error_of(api.post("charge-points", {**NEW, field: value}), 400, "validation_error")
    assert list(error["details"]) == [field]
    assert not ChargePoint.objects.exists()


@pytest.mark.parametrize("profile", [0, 3])
def test_refuses_a_password_where_none_is_asked_for(api: Api, profile: int) -> None:
    body = {**NEW, "password": PASSWORD, "security_profile": profile}
    assert list(error_of(api.post("charge-points", body), 400, "validation_error")["details"]) == ["password"]


def test_refuses_text_that_cannot_be_stored(api: Api) -> None:
    for body in (b'{"charge_point_id": "a\\u0000"}', b'{"charge_point_id": "a", "description": "\\ud800"}'):
        error_of(api.post("charge-points", body), 400, "validation_error")


@pytest.mark.parametrize("owner", ["Test", "Other"])
def test_refuses_an_identity_that_is_taken_and_tells_not_by_whom(api: Api, owner: str) -> None:
    register(make_api(owner, root=RESOURCES))
    error = error_of(api.post("charge-points", NEW), 409, "conflict")
    assert error["details"] == {"charge_point_id": ["A charge point of this id exists already."]}
    assert ChargePoint.objects.count() == 1


def test_changes_what_is_said_and_nothing_else(api: Api) -> None:
    before = register(api, description="Car park", heartbeat_interval=60)
    response = api.patch("/charge-points/CP-1", {"description": "", "registration_status": "Rejected"})
    assert response.status_code == 200
    del before["password"]
    assert response.json() == {**before, "description": None, "registration_status": "Rejected"}
    assert api.patch("/charge-points/CP-1", {"heartbeat_interval": None}).json()["heartbeat_interval"] == 300
    assert api.patch("/charge-points/CP-1", {"description": None}).json()["description"] is None
    assert api.patch("/charge-points/CP-1", {}).status_code == 200


@pytest.mark.parametrize("field", ["charge_point_id", "password", "vendor", "online", "id"])
def test_changes_nothing_that_is_not_its_to_say(api: Api, field: str) -> None:
    register(api)
    error = error_of(api.patch("/charge-points/CP-1", {"description": "new", field: "x"}), 400, "validation_error")
    assert error["details"] == {field: ["Unknown field."]}
    assert stored().description == ""


def test_asks_for_a_password_before_it_is_required(api: Api) -> None:
    register(api, security_profile=0)
    for profile in (1, 2):
        response = api.patch("/charge-points/CP-1", {"security_profile": profile})
        assert list(error_of(response, 400, "validation_error")["details"]) == ["security_profile"]
    assert stored().security_profile == 0
    api.post("charge-points/CP-1/password", {})
    assert stored().security_profile == 1
    assert api.patch("/charge-points/CP-1", {"security_profile": 2}).json()["security_profile"] == 2


def test_replaces_the_password_at_once(api: Api) -> None:
    old = register(api)["password"]
    body = api.post("charge-points/CP-1/password", {}).json()
    assert body["charge_point_id"] == "CP-1"
    assert stored().check_password(body["password"].encode())
    assert not stored().check_password(old.encode())
    assert api.post("charge-points/CP-1/password", {"password": PASSWORD}).json()["password"] == PASSWORD
    assert stored().check_password(PASSWORD.encode())


def test_keeps_the_present_password_until_the_next_is_used(api: Api) -> None:
    old = register(api)["password"].encode()
    new = api.post("charge-points/CP-1/password", {"keep_current": True}).json()["password"].encode()
    assert stored().check_password(old)
    assert stored().check_password(new)
    assert not stored().check_password(old)


def test_requires_a_first_password_at_once_whatever_is_to_be_kept(api: Api) -> None:
    register(api, security_profile=0)
    api.post("charge-points/CP-1/password", {"keep_current": True})
    assert (stored().security_profile, bool(stored().password_digest)) == (1, True)


@pytest.mark.parametrize("body", [{"password": "short"}, {"keep_current": "yes"}, {"keep_current": None}, {"x": 1}])
def test_refuses_a_bad_rotation(api: Api, body: dict[str, Any]) -> None:
    old = register(api)["password"].encode()
    error = error_of(api.post("charge-points/CP-1/password", body), 400, "validation_error")
    assert list(error["details"]) == list(body)
    assert stored().check_password(old)


def test_gives_no_password_to_who_shows_a_certificate(api: Api) -> None:
    register(api, security_profile=3)
    error = error_of(api.post("charge-points/CP-1/password", {}), 400, "validation_error")
    assert list(error["details"]) == ["password"]
    assert stored().password_digest == ""


@pytest.mark.parametrize("body", [{"description": "x" * 201}, {"x": 1}])
def test_judges_the_body_before_the_charge_point(api: Api, body: Any) -> None:
    error_of(api.patch("/charge-points/NONE", body), 400, "validation_error")
    error_of(api.post("charge-points/NONE/password", {"x": 1}), 400, "validation_error")
    error_of(api.patch("/charge-points/NONE", {}), 404, "not_found")
    error_of(api.post("charge-points/NONE/password", {}), 404, "not_found")


@pytest.mark.parametrize("identity", ["CP 1", "a%b", "Ü;x"])
async def test_lets_in_whom_it_registered(servers: Any, make_key: Any, identity: str) -> None:
    headers = {"Authorization": f"Bearer {make_key('write:charge_points')}"}
    async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers) as caller:
        body = (await caller.post("/api/v1/charge-points", json={"charge_point_id": identity})).json()
        client = ChargePointClient(body["ocpp_endpoint"], identity, body["password"])
        await client.connect()
        await client.boot()
        await client.close()
        target = urlsplit(body["ocpp_endpoint"]).path
        path = f"/api/v1/charge-points/{target.removeprefix('/ocpp16/')}/password"
        assert (await caller.post(path, json={})).status_code == 200
        port = urlsplit(body["ocpp_endpoint"]).port
        assert await status_of(port, target, authorization=basic(identity, body["password"])) == 401
