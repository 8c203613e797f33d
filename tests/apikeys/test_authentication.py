from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apikeys.models import ApiKey
from apikeys.scopes import SCOPES
from chargepoints.views import ChargePointStatusView
from tests.api import Api, error_of, make_api

pytestmark = pytest.mark.django_db

URL = "/api/v1/ocpp16/charge_points/status"
MISSING = "dyn_live_" + "x" * 40


@pytest.fixture
def api() -> Api:
    return make_api()


def get(**headers: str) -> Any:
    return Client().get(URL, headers={name.replace("_", "-"): headers[name] for name in headers})


def test_takes_a_bearer_token(api: Api) -> None:
    assert get(Authorization=f"Bearer {api.key}").status_code == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_takes_the_scheme_in_any_case(api: Api, scheme: str) -> None:
    assert get(Authorization=f"{scheme}  {api.key} ").status_code == 200


def test_takes_the_key_header(api: Api) -> None:
    assert get(X_API_Key=api.key).status_code == 200


def test_takes_the_same_key_in_both_headers(api: Api) -> None:
    assert get(X_API_Key=api.key, Authorization=f"Bearer {api.key}").status_code == 200


def test_leaves_another_scheme_to_the_proxy_that_asked_for_it(api: Api) -> None:
    assert get(X_API_Key=api.key, Authorization="Basic Zm9vOmJhcg==").status_code == 200


def test_refuses_two_different_keys(api: Api) -> None:
    other = make_api("Other")
    refused(get(X_API_Key=api.key, Authorization=f"Bearer {other.key}"))
    refused(get(X_API_Key=MISSING, Authorization=f"Bearer {api.key}"))


def refused(response: Any) -> bytes:
    error_of(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    return response.content


def revoked(api: Api) -> None:
    api.row.revoke()


def expired(api: Api) -> None:
    ApiKey.objects.filter(pk=api.row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def inactive(api: Api) -> None:
    type(api.organization).objects.update(is_active=False)


@pytest.mark.parametrize("spoil", [revoked, expired, inactive])
def test_refuses_a_key_that_is_no_longer_usable_like_one_that_never_was(api: Api, spoil: Any) -> None:
    assert get(X_API_Key=api.key).status_code == 200
    spoil(api)
    assert refused(get(X_API_Key=api.key)) == refused(get(X_API_Key=MISSING))


def test_takes_a_key_until_it_expires(api: Api) -> None:
    ApiKey.objects.filter(pk=api.row.pk).update(expires_at=timezone.now() + timedelta(minutes=1))
    assert get(X_API_Key=api.key).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {MISSING}"},
        {"Authorization": f"Token {MISSING}"},
        {"Authorization": MISSING},
        {"Authorization": "Bearer dyn_live_short"},
        {"Authorization": f"Bearer {MISSING} {MISSING}"},
        {"Authorization": "Bearer \u00fc\u0000"},
        {"X-API-Key": "' OR 1=1 --"},
        {"X-API-Key": MISSING + "\n"},
    ],
    ids=str,
)
def test_refuses_what_is_no_key(headers: dict[str, str]) -> None:
    assert refused(get(**headers)) == refused(get())


def test_ignores_a_key_in_the_query(api: Api) -> None:
    refused(Client().get(URL, {"api_key": api.key, "X-API-Key": api.key}))


def test_compares_the_whole_key(api: Api) -> None:
    tail = "a" if api.key[-1] != "a" else "b"
    refused(get(X_API_Key=api.key[:-1] + tail))
    refused(get(X_API_Key=api.key.swapcase()))


def test_remembers_the_use_of_a_key(api: Api) -> None:
    get(X_API_Key=api.key)
    first = ApiKey.objects.get(pk=api.row.pk).last_used_at
    assert first is not None
    get(X_API_Key=api.key)
    assert ApiKey.objects.get(pk=api.row.pk).last_used_at == first, "at most once a minute"


@pytest.mark.parametrize("scope", SCOPES)
def test_lets_one_scope_imply_no_other(scope: str) -> None:
    api = make_api(scopes=[scope])
    response = api.get("/charge_points/status")
    if scope == "read:charge_points":
        assert response.status_code == 200
        return
    assert error_of(response, 403, "forbidden")["details"] == {"required_scope": "read:charge_points"}


@pytest.mark.parametrize("scope", SCOPES)
def test_needs_the_scope_to_write_for_active_transactions(scope: str) -> None:
    response = make_api(scopes=[scope]).get("/active_transactions/CP-1")
    if scope == "write:charge_points":
        error_of(response, 404, "not_found")
        return
    assert error_of(response, 403, "forbidden")["details"] == {"required_scope": "write:charge_points"}


def test_lets_nobody_in_where_a_view_names_no_scope(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChargePointStatusView, "required_scope", None)
    error_of(api.get("/charge_points/status"), 403, "forbidden")


def test_authenticates_before_it_looks_at_anything_else() -> None:
    paths = ["reset", "send_command", "active_transactions/CP-1", "charge_points/status"]
    for path, method in itertools.product(paths, ["get", "post", "put", "delete", "options"]):
        call = getattr(Client(), method)
        refused(call(f"/api/v1/ocpp16/{path}", "{", content_type="text/plain") if method != "get" else call(
            f"/api/v1/ocpp16/{path}"
        ))  # fmt: skip
