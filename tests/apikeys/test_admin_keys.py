"""API keys in the admin: the secret is shown once, and keys are revoked and rotated by POST."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys.admin.keys import ApiKeyAdmin
from apikeys.models import AlreadyRevoked, ApiKey, Organization
from apikeys.scopes import SCOPES
from tests.world import staff, superuser

ADD = "/admin/apikeys/apikey/add/"
SECRET = re.compile(r"dyn_live_[A-Za-z0-9_-]{40}")


@pytest.fixture
def as_staff(organization: Organization, client: Client) -> Client:
    client.force_login(staff(organization))
    return client


@pytest.fixture
def api_key(organization: Organization) -> ApiKey:
    return ApiKey.objects.issue(organization, "Billing", ["read:billing"])[0]


def fields(organization: Organization, **changes: Any) -> dict[str, Any]:
    given = {"organization": organization.pk, "name": "Portal", "scopes": ["read:billing"], "once": "mark-1"}
    return {**given, **changes}


def page(api_key: ApiKey, view: str) -> str:
    return reverse(f"admin:apikeys_apikey_{view}", args=[api_key.pk])


def secrets_in(response: Any) -> set[str]:
    return set(SECRET.findall(response.content.decode()))


def test_shows_a_new_key_in_the_answer_to_the_form(as_staff: Client, organization: Organization) -> None:
    response = as_staff.post(ADD, fields(organization, scopes=["read:billing", "read:sessions"]))
    assert response.status_code == 200
    (secret,) = secrets_in(response)
    found = ApiKey.objects.find(secret)
    assert found is not None
    assert found.scopes == ["read:billing", "read:sessions"]
    assert found.created_by is not None
    assert "no-store" in response.headers["Cache-Control"]


def test_keeps_the_secret_nowhere(as_staff: Client, organization: Organization, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    response = as_staff.post(ADD, fields(organization))
    (secret,) = secrets_in(response)
    tail = secret[-20:]
    assert tail not in str(response.headers) + str(response.cookies) + caplog.text
    assert all(tail not in str(session.get_decoded()) for session in Session.objects.all())
    row = ApiKey.objects.values().get()
    assert tail not in str(row)


def test_shows_no_secret_and_makes_no_key_on_reload(as_staff: Client, organization: Organization) -> None:
    as_staff.post(ADD, fields(organization))
    again = as_staff.post(ADD, fields(organization), follow=True)
    assert not secrets_in(again)
    assert "shown once" in again.content.decode()
    assert ApiKey.objects.count() == 1


def test_shows_no_secret_on_the_page_of_the_key(as_staff: Client, api_key: ApiKey) -> None:
    response = as_staff.get(page(api_key, "change"))
    assert not secrets_in(response)
    assert api_key.prefix in response.content.decode()
    assert api_key.digest not in response.content.decode()


def test_offers_every_scope_as_a_checkbox(as_staff: Client) -> None:
    text = as_staff.get(ADD).content.decode()
    for scope in SCOPES:
        assert re.search(rf'<input type="checkbox" name="scopes" value="{scope}"', text)


@pytest.mark.parametrize(
    ("name", "value"), [("scopes", ["read:everything"]), ("scopes", []), ("expires_at_0", "2001-01-01"), ("name", "")]
)
def test_refuses_a_wrong_form(name: str, value: Any, as_staff: Client, organization: Organization) -> None:
    given = fields(organization, expires_at_1="00:00:00" if name == "expires_at_0" else "", **{name: value})
    response = as_staff.post(ADD, given)
    assert response.context["adminform"].form.errors
    assert not ApiKey.objects.exists()


def test_changes_the_scopes_of_a_key(as_staff: Client, api_key: ApiKey) -> None:
    as_staff.post(page(api_key, "change"), {"name": "Billing", "scopes": ["read:sessions"]})
    api_key.refresh_from_db()
    assert api_key.scopes == ["read:sessions"]


@pytest.mark.parametrize("view", ["revoke", "rotate"])
def test_asks_before_it_touches_a_key(view: str, as_staff: Client, api_key: ApiKey) -> None:
    response = as_staff.get(page(api_key, view))
    assert response.status_code == 200
    api_key.refresh_from_db()
    assert api_key.state == "active"


def test_revokes_a_key(as_staff: Client, organization: Organization) -> None:
    api_key, secret = ApiKey.objects.issue(organization, "Billing", ["read:billing"])
    as_staff.post(page(api_key, "revoke"))
    assert ApiKey.objects.find(secret) is None
    assert page(api_key, "revoke") not in as_staff.get(page(api_key, "change")).content.decode()


def test_rotates_a_key(as_staff: Client, organization: Organization) -> None:
    api_key, secret = ApiKey.objects.issue(organization, "Billing", ["read:billing"])
    response = as_staff.post(page(api_key, "rotate"), {"once": "mark-2"})
    (new_secret,) = secrets_in(response)
    assert ApiKey.objects.find(secret) is None
    successor = ApiKey.objects.find(new_secret)
    assert successor is not None
    assert (successor.name, successor.scopes) == ("Billing", ["read:billing"])
    again = as_staff.post(page(api_key, "rotate"), {"once": "mark-2"}, follow=True)
    assert not secrets_in(again)
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize("state", ["revoked", "expired"])
def test_rotates_only_an_active_key(state: str, as_staff: Client, api_key: ApiKey) -> None:
    if state == "revoked":
        api_key.revoke()
    else:
        ApiKey.objects.filter(pk=api_key.pk).update(expires_at=timezone.now() - timedelta(days=1))
    response = as_staff.post(page(api_key, "rotate"), {"once": "mark-3"}, follow=True)
    assert not secrets_in(response)
    assert state in response.content.decode()
    assert ApiKey.objects.count() == 1


def test_issues_no_key_for_one_that_is_revoked_meanwhile(
    as_staff: Client, api_key: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = ApiKey.objects.get(pk=api_key.pk)
    api_key.revoke()
    monkeypatch.setattr(ApiKeyAdmin, "get_object", lambda *_: stale)
    response = as_staff.post(page(api_key, "rotate"), {"once": "mark-6"})
    assert not secrets_in(response)
    assert [str(message) for message in get_messages(response.wsgi_request)] == [
        f"The key {api_key} is revoked already: only an active key can be rotated."
    ]
    assert ApiKey.objects.count() == 1


def test_rotates_a_key_once_for_two_who_hold_it(api_key: ApiKey) -> None:
    stale = ApiKey.objects.get(pk=api_key.pk)
    successor, _ = api_key.rotate()
    with pytest.raises(AlreadyRevoked):
        stale.rotate()
    assert list(ApiKey.objects.usable()) == [successor]


@pytest.mark.parametrize("view", ["revoke", "rotate"])
def test_lets_who_may_only_look_touch_no_key(view: str, client: Client, organization: Organization, db: None) -> None:
    from django.contrib.auth.models import Permission

    api_key, secret = ApiKey.objects.issue(organization, "Billing", ["read:billing"])
    client.force_login(staff(organization, permissions=Permission.objects.filter(codename="view_apikey")))
    assert client.get(page(api_key, "change")).status_code == 200
    assert client.post(page(api_key, view), {"once": "mark-4"}).status_code == 403
    assert ApiKey.objects.find(secret) is not None


def test_deletes_no_key(client: Client, api_key: ApiKey) -> None:
    client.force_login(superuser())
    assert client.post(page(api_key, "delete"), {"post": "yes"}).status_code == 403
    assert ApiKey.objects.filter(pk=api_key.pk).exists()


@pytest.mark.parametrize("view", ["revoke", "rotate"])
def test_refuses_a_forged_post(view: str, organization: Organization, api_key: ApiKey) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(staff(organization))
    assert strict.post(page(api_key, view), {"once": "mark-5"}).status_code == 403
    api_key.refresh_from_db()
    assert api_key.state == "active"


def test_offers_to_revoke_but_not_to_rotate_a_key_that_was_rotated(as_staff: Client, api_key: ApiKey) -> None:
    api_key.rotate(overlap=timedelta(hours=1))
    shown = as_staff.get(page(api_key, "change")).content.decode()
    assert page(api_key, "revoke") in shown
    assert page(api_key, "rotate") not in shown
    response = as_staff.post(page(api_key, "rotate"), {"once": "mark-7"})
    assert [str(message) for message in get_messages(response.wsgi_request)] == [
        f"The key {api_key} is rotated already: only an active key can be rotated."
    ]


def test_limits_a_key(as_staff: Client, organization: Organization) -> None:
    limits = {
        "allowed_commands": ["Reset"],
        "allowed_charge_points": "CP-1\r\n CP-2 ",
        "allowed_addresses": "10.0.0.0/8",
        "requests_per_minute": "60",
    }
    as_staff.post(ADD, fields(organization, **limits))
    api_key = ApiKey.objects.get()
    assert api_key.limits == {
        "allowed_commands": ["Reset"],
        "allowed_charge_points": ["CP-1", "CP-2"],
        "allowed_addresses": ["10.0.0.0/8"],
        "requests_per_minute": 60,
    }
    assert "CP-1\nCP-2" in as_staff.get(page(api_key, "change")).content.decode()
    told = "commands: 1, charge points: 2, addresses: 1, rate: 60 a minute"
    assert told in as_staff.get("/admin/apikeys/apikey/").content.decode()
    as_staff.post(
        page(api_key, "change"), {"name": "Portal", "scopes": ["read:billing"], "allowed_charge_points": "CP-1"}
    )
    api_key.refresh_from_db()
    assert api_key.limits == {
        "allowed_commands": None,
        "allowed_charge_points": ["CP-1"],
        "allowed_addresses": None,
        "requests_per_minute": None,
    }


@pytest.mark.parametrize(
    "limit",
    [{"allowed_commands": ["Explode"]}, {"allowed_charge_points": "x" * 49}, {"allowed_addresses": "10.0.0.1/8"}],
    ids=lambda limit: next(iter(limit)),
)
def test_refuses_a_limit_that_is_none(as_staff: Client, organization: Organization, limit: Any) -> None:
    response = as_staff.post(ADD, fields(organization, **limit))
    assert response.context["adminform"].form.errors.keys() == limit.keys()
    assert not ApiKey.objects.exists()


def test_makes_a_test_key_which_stays_one(as_staff: Client, organization: Organization) -> None:
    response = as_staff.post(ADD, fields(organization, is_test="on"))
    (secret,) = re.findall(r"dyn_test_[A-Za-z0-9_-]{40}", response.content.decode())
    api_key = ApiKey.objects.get()
    assert (ApiKey.objects.find(secret), api_key.mode) == (api_key, "test")
    as_staff.post(page(api_key, "change"), {"name": "Billing", "scopes": ["read:billing"]})
    api_key.refresh_from_db()
    assert (api_key.name, api_key.is_test) == ("Billing", True)
