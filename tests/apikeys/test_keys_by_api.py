"""Keys that are made, rotated and revoked by keys, over the real server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from apikeys.models import ApiKey
from apikeys.rates import WithinRate
from apikeys.scopes import SCOPES
from apikeys.views import OfKeys
from tests.api import error_of, make_api

KEYS, ME = "/api/v1/org/api-keys", "/api/v1/me"
HOUR = timedelta(hours=1)


def ahead(span: timedelta) -> datetime:
    return (datetime.now(UTC) + span).replace(microsecond=0)


def written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def row_of(key: str) -> ApiKey:
    return ApiKey.objects.get(prefix=key[:17])


@pytest.fixture
def act(servers: Any, make_key: Callable[..., str]) -> Callable[..., Any]:
    """`await act("POST", path, body, key=KEY)`; without a key, one of every scope."""

    async def act(method: str, path: str, body: Any = None, key: str = "") -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or make_key()}"}
        async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30) as client:
            return await client.request(method, path, json=body)

    return act


async def test_makes_a_key_and_shows_it_once(act: Any, organization: Any) -> None:
    body = {"name": "Portal", "scopes": ["read:charge_points", "read:charge_points"]}
    response = await act("POST", KEYS, body)
    assert response.status_code == 201
    made = response.json()
    assert next(iter(made)) == "key"
    assert (made["name"], made["scopes"], made["state"]) == ("Portal", ["read:charge_points"], "active")
    assert made["expires_at"] is None
    assert row_of(made["key"]).organization == organization
    assert (await act("GET", ME, key=made["key"])).status_code == 200
    read = await act("GET", response.headers["Location"])
    assert read.json() == {name: made[name] for name in made if name != "key"} | {
        "last_used_at": read.json()["last_used_at"]
    }
    assert made["key"] not in read.text + (await act("GET", KEYS)).text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read:sessions"]}, "name"),
        ({"name": "", "scopes": ["read:sessions"]}, "name"),
        ({"name": " Portal", "scopes": ["read:sessions"]}, "name"),
        ({"name": "x" * 101, "scopes": ["read:sessions"]}, "name"),
        ({"name": "Portal"}, "scopes"),
        ({"name": "Portal", "scopes": []}, "scopes"),
        ({"name": "Portal", "scopes": "read:sessions"}, "scopes"),
        ({"name": "Portal", "scopes": ["read:everything"]}, "scopes[0]"),
        ({"name": "Portal", "scopes": ["any"]}, "scopes[0]"),
        ({"name": "Portal", "scopes": ["read:sessions"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "Portal", "scopes": ["read:sessions"], "expires_at": "tomorrow"}, "expires_at"),
        ({"name": "Portal", "scopes": ["read:sessions"], "organization": 1}, "organization"),
    ],
)
async def test_refuses_what_is_no_key(act: Any, body: Any, field: str) -> None:
    error = error_of(await act("POST", KEYS, body), 400, "validation_error")
    assert list(error["details"]) == [field]
    assert ApiKey.objects.count() == 1


async def test_grants_no_scope_that_it_lacks(act: Any, make_key: Any) -> None:
    key = make_key("write:api_keys", "read:sessions")
    body = {"name": "Portal", "scopes": ["read:sessions", "write:billing"]}
    error = error_of(await act("POST", KEYS, body, key=key), 403, "forbidden")
    assert error["details"] == {"exceeds": ["scopes"]}
    assert ApiKey.objects.count() == 1
    assert (await act("POST", KEYS, body | {"scopes": ["read:sessions"]}, key=key)).status_code == 201


@pytest.mark.parametrize("expires_at", [None, ahead(3 * HOUR)], ids=["never", "later"])
async def test_grants_no_later_expiry_than_its_own(act: Any, make_key: Any, expires_at: datetime | None) -> None:
    key = make_key(expires_at=ahead(2 * HOUR))
    asked = expires_at and written(expires_at)
    body = {"name": "Portal", "scopes": ["read:sessions"], "expires_at": asked}
    error = error_of(await act("POST", KEYS, body, key=key), 403, "forbidden")
    assert error["details"] == {"exceeds": ["expires_at"]}


async def test_lets_a_key_expire_with_its_maker_unless_it_is_told_when(act: Any, make_key: Any) -> None:
    end, sooner = ahead(2 * HOUR), ahead(HOUR)
    body = {"name": "Portal", "scopes": ["read:sessions"]}
    key = make_key(expires_at=end)
    assert (await act("POST", KEYS, body, key=key)).json()["expires_at"] == written(end)
    body["expires_at"] = written(sooner)
    assert (await act("POST", KEYS, body, key=key)).json()["expires_at"] == written(sooner)


async def test_lists_the_keys_of_the_organization_by_page(act: Any, make_key: Any, other_organization: Any) -> None:
    keys = [make_key() for _ in range(3)]
    make_key(owner=other_organization)
    row_of(keys[1]).revoke()
    first = (await act("GET", f"{KEYS}?per_page=2", key=keys[0])).json()
    second = (await act("GET", f"{KEYS}?per_page=2&page=2", key=keys[0])).json()
    assert (first["total"], first["page"], first["per_page"]) == (3, 1, 2)
    listed = [*first["api_keys"], *second["api_keys"]]
    assert [row["prefix"] for row in listed] == [key[:17] for key in keys]
    assert [row["state"] for row in listed] == ["active", "revoked", "active"]
    past = await act("GET", f"{KEYS}?page=99999999999999999", key=keys[0])
    assert (past.status_code, past.json()["api_keys"]) == (200, [])


@pytest.mark.parametrize("query", ["page=0", "per_page=201", "page=x", "page=1&page=2", "per_page=", "state=active"])
async def test_refuses_a_page_that_is_none(act: Any, query: str) -> None:
    error_of(await act("GET", f"{KEYS}?{query}"), 400, "validation_error")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", "/revoke"), ("POST", "/rotate")], ids=["read", "revoke", "rotate"]
)
async def test_knows_no_key_of_another_organization(
    act: Any, make_key: Any, other_organization: Any, method: str, path: str
) -> None:
    key, other = make_key(), make_key(owner=other_organization)
    answers = [await act(method, f"{KEYS}/{pk}{path}", key=key) for pk in (row_of(other).pk, 10**6, 10**30)]
    assert [error_of(answer, 404, "not_found") for answer in answers] == 3 * [answers[1].json()["error"]]
    assert row_of(other).state == "active"


@pytest.mark.parametrize("scope", SCOPES)
async def test_needs_the_scope_of_the_method(act: Any, make_key: Any, scope: str) -> None:
    key = make_key(scope)
    pk = row_of(key).pk
    body = {"name": "Portal", "scopes": [scope]}
    asked = {
        "read": [("GET", KEYS, None), ("HEAD", KEYS, None), ("GET", f"{KEYS}/{pk}", None)],
        "write": [("POST", KEYS, body), ("POST", f"{KEYS}/{pk}/rotate", None), ("POST", f"{KEYS}/{pk}/revoke", None)],
    }
    for kind, requests in asked.items():
        statuses = [(await act(*request, key=key)).status_code for request in requests]
        assert all(status < 300 if scope == f"{kind}:api_keys" else status == 403 for status in statuses)


@pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("DELETE", "/1"), ("GET", "/1/revoke"), ("PATCH", "/1")])
async def test_has_no_other_methods(act: Any, method: str, path: str) -> None:
    error_of(await act(method, KEYS + path), 405, "method_not_allowed")


async def test_revokes_a_key_and_again_changes_nothing(act: Any, make_key: Any) -> None:
    key, own = make_key(), make_key("write:api_keys")
    first = await act("POST", f"{KEYS}/{row_of(key).pk}/revoke", key=own)
    assert (first.status_code, first.json()["state"]) == (200, "revoked")
    error_of(await act("GET", ME, key=key), 401, "unauthorized")
    again = await act("POST", f"{KEYS}/{row_of(key).pk}/revoke", key=own)
    assert again.json() == first.json()


async def test_rotates_a_key_that_goes_on_for_a_day(act: Any, make_key: Any) -> None:
    end = ahead(48 * HOUR)
    key = make_key("read:sessions", "write:api_keys", expires_at=end)
    response = await act("POST", f"{KEYS}/{row_of(key).pk}/rotate", key=key)
    assert response.status_code == 201
    made, old = response.json(), row_of(key)
    assert (made["name"], made["scopes"], made["expires_at"]) == (old.name, old.scopes, written(end))
    for each in (key, made["key"]):
        assert (await act("GET", ME, key=each)).status_code == 200
    assert old.rotated_at is not None
    assert old.expires_at == old.rotated_at + timedelta(days=1)
    ApiKey.objects.filter(pk=old.pk).update(expires_at=ahead(-HOUR))
    error_of(await act("GET", ME, key=key), 401, "unauthorized")


async def test_ends_a_rotated_key_no_later_than_it_would_have(act: Any, make_key: Any) -> None:
    end = ahead(HOUR)
    key = make_key(expires_at=end)
    await act("POST", f"{KEYS}/{row_of(key).pk}/rotate", {"overlap_seconds": 7200}, key=key)
    assert row_of(key).expires_at == end


async def test_ends_a_rotated_key_at_once_where_it_is_told(act: Any, make_key: Any) -> None:
    key = make_key()
    made = await act("POST", f"{KEYS}/{row_of(key).pk}/rotate", {"overlap_seconds": 0}, key=key)
    error_of(await act("GET", ME, key=key), 401, "unauthorized")
    assert (await act("GET", ME, key=made.json()["key"])).status_code == 200


@pytest.mark.parametrize("seconds", [-1, 7 * 86_400 + 1, "60", True, None])
async def test_refuses_an_overlap_that_is_none(act: Any, make_key: Any, seconds: Any) -> None:
    key = make_key()
    response = await act("POST", f"{KEYS}/{row_of(key).pk}/rotate", {"overlap_seconds": seconds}, key=key)
    assert list(error_of(response, 400, "validation_error")["details"]) == ["overlap_seconds"]
    assert row_of(key).rotated_at is None


async def test_rotates_a_key_once(act: Any, make_key: Any) -> None:
    key = make_key()
    path = f"{KEYS}/{row_of(key).pk}/rotate"
    assert (await act("POST", path, key=key)).status_code == 201
    error_of(await act("POST", path, key=key), 409, "key_not_active")
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("state", ["revoked", "expired"])
async def test_rotates_only_an_active_key(act: Any, make_key: Any, state: str) -> None:
    key = make_key(expires_at=ahead(-HOUR) if state == "expired" else None)
    if state == "revoked":
        row_of(key).revoke()
    error = error_of(await act("POST", f"{KEYS}/{row_of(key).pk}/rotate"), 409, "key_not_active")
    assert state in error["message"]


async def test_rotates_no_key_that_may_do_more(act: Any, make_key: Any) -> None:
    own, mightier = make_key("write:api_keys", expires_at=ahead(HOUR)), make_key()
    error = error_of(await act("POST", f"{KEYS}/{row_of(mightier).pk}/rotate", key=own), 403, "forbidden")
    assert error["details"] == {"exceeds": ["scopes", "expires_at"]}
    assert row_of(mightier).rotated_at is None


@pytest.mark.parametrize(("method", "path"), [("GET", ME), ("GET", f"{KEYS}/1"), ("POST", f"{KEYS}/1/rotate")])
async def test_refuses_a_parameter_that_it_does_not_know(act: Any, method: str, path: str) -> None:
    error = error_of(await act(method, f"{path}?overlap_seconds=0"), 400, "validation_error")
    assert error["details"] == {"overlap_seconds": ["Unknown parameter."]}


async def test_tells_any_key_about_itself(act: Any, make_key: Any, organization: Any) -> None:
    end = ahead(HOUR)
    key = make_key("read:billing", expires_at=end)
    assert (await act("GET", ME, key=key)).json() == {
        "organization": organization.name,
        "name": "test",
        "prefix": key[:17],
        "mode": "live",
        "scopes": ["read:billing"],
        **dict.fromkeys(ApiKey.LIMITS),
        "expires_at": written(end),
    }


async def test_tells_nobody_without_a_key(act: Any) -> None:
    for method, path in [
        ("GET", ME),
        ("GET", KEYS),
        ("POST", KEYS),
        ("GET", f"{KEYS}/1"),
        ("POST", f"{KEYS}/1/rotate"),
    ]:
        error_of(await act(method, path, key="dyn_live_" + "x" * 40), 401, "unauthorized")


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["make", "rotate"])
@pytest.mark.parametrize(
    ("taken", "status", "code"),
    [
        ({"revoked_at": Now()}, 401, "unauthorized"),
        ({"scopes": ["write:api_keys"]}, 403, "forbidden"),
        ({"scopes": ["read:sessions"]}, 403, "forbidden"),
        ({"allowed_commands": ["Reset"]}, 403, "forbidden"),
    ],
)
def test_grants_nothing_that_was_taken_from_it_meanwhile(
    monkeypatch: pytest.MonkeyPatch, action: str, taken: Any, status: int, code: str
) -> None:
    api = make_api()
    other, _ = ApiKey.objects.issue(api.organization, "other", ["read:sessions"])

    def admit_and_take(*_: Any) -> bool:
        return bool(ApiKey.objects.filter(pk=api.row.pk).update(**taken))

    monkeypatch.setattr(WithinRate, "allow_request", admit_and_take)
    body = {"name": "Portal", "scopes": ["read:sessions"], "allowed_commands": None}
    error_of(api.post(KEYS, body) if action == "make" else api.post(f"{KEYS}/{other.pk}/rotate", {}), status, code)
    assert ApiKey.objects.count() == 2


@pytest.mark.django_db
def test_rotates_a_key_into_one_with_what_it_has_by_then(monkeypatch: pytest.MonkeyPatch) -> None:
    api = make_api()
    other, _ = ApiKey.objects.issue(api.organization, "other", ["read:sessions", "read:charge_points"])
    look = OfKeys.get_api_key

    def look_and_take(view: Any, pk: int) -> Any:
        found = look(view, pk)
        ApiKey.objects.filter(pk=pk).update(scopes=["read:sessions"])
        return found

    monkeypatch.setattr(OfKeys, "get_api_key", look_and_take)
    made = api.post(f"{KEYS}/{other.pk}/rotate", {})
    assert (made.status_code, made.json()["scopes"]) == (201, ["read:sessions"])


@pytest.mark.django_db
def test_keeps_which_key_made_another(client: Client, admin_user: Any) -> None:
    api = make_api()
    made = api.post(KEYS, {"name": "Portal", "scopes": ["read:sessions"]}).json()
    rotated = api.post(f"{KEYS}/{made['id']}/rotate", {}).json()
    assert ApiKey.objects.filter(made_by=api.row).count() == 2
    client.force_login(admin_user)
    page = client.get(reverse("admin:apikeys_apikey_change", args=[rotated["id"]]))
    assert str(api.row) in page.content.decode()
