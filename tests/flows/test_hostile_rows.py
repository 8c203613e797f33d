"""Whatever charge points, staff and strangers wrote into the database stays text on every page of the admin."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from django.db.models import CharField, JSONField, Model, TextField
from django.test import Client
from django.urls import reverse

from chargepoints.models import ChargePoint, MeterValue, WebhookDelivery
from tests.world import fill, superuser

from .test_admin_pages import MODELS, pages, url

# What a page would show if it took these for HTML is an element, or an attribute, of this name.
CANARY = "x-c"
PAYLOADS = {
    "attribute": f"\"'><{CANARY} {CANARY}=",
    "unquoted": f" {CANARY}=1 onload={CANARY} ",
    "script": f"</script></pre><{CANARY}>",
    "address": f"javascript:{CANARY}",
    "direction": f"\u202e<{CANARY}>\u202c\u200f",
}
OURS = {"password", "digest", "prefix", "password_digest", "next_password_digest", "channel_name", "scopes"}
# On how many pages of each kind it stands at least: a page that hides it shows nothing about the others.
SHOWN = {"lists": 15, "forms": 17, "new": 2, "own": 9}
SAMPLE_MEMBERS = ("value", "unit", "measurand", "phase", "location", "context")
# What lists hold that only we write, and others' texts in them.
ITEMS: dict[Any, tuple[str, ...]] = {
    MeterValue: SAMPLE_MEMBERS,
    WebhookDelivery: ("started_at", "status_code", "error", "answer", "duration_ms"),
}


class Elements(HTMLParser):
    """What a browser would make of a page, as far as it matters here."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.suspicious: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == CANARY:
            self.suspicious.append(f"element {tag}")
        for name, value in attrs:
            is_address = name in ("href", "src", "action", "formaction")
            if CANARY in name or name.startswith("on") or (is_address and str(value).strip().startswith("javascript:")):
                self.suspicious.append(f"{tag} with {name}={value!r}")


def poison(world: dict[type, Any], payload: str) -> None:
    """Put the payload into every text of every row."""
    for model, row in world.items():
        rows = model._default_manager.filter(pk=row.pk)  # type: ignore[attr-defined]
        rows.update(**{name: value for name, value in values(model, payload).items() if name not in OURS})


def values(model: type[Model], payload: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if isinstance(field, JSONField):
            inner = ITEMS.get(model)
            found[field.name] = [dict.fromkeys(inner, payload)] if inner else {payload: [payload]}
        elif isinstance(field, CharField | TextField) and not field.choices:
            found[field.name] = payload[: field.max_length]
    return found


@pytest.fixture
def client(db: None) -> Client:
    client = Client()
    client.force_login(superuser())
    return client


@pytest.fixture(params=PAYLOADS.values(), ids=PAYLOADS)
def world(request: pytest.FixtureRequest, client: Client) -> dict[type, Any]:
    world = fill("ALPHA")
    own = world[ChargePoint]
    connector = own.connectors.get()
    connector_values = values(type(connector), request.param)
    type(connector).objects.update(**connector_values)
    own.findings.update(detail=request.param, kind=request.param[:40])
    poison(world, request.param)
    return world


def look(client: Client, path: str) -> str:
    """The page at an address, in which nothing may have become an element."""
    response = client.get(path, follow=True)
    assert response.status_code == 200, path
    page = response.content.decode()
    assert Elements(page).suspicious == [], path
    return page


def test_is_text_on_every_page(world: dict[type, Any], client: Client) -> None:
    shown = {kind: sum(CANARY in look(client, path) for path in pages(kind, world)) for kind in SHOWN}
    assert [kind for kind in SHOWN if shown[kind] < SHOWN[kind]] == []


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS)
def test_is_text_where_it_was_searched_for(payload: str, client: Client) -> None:
    listed = client.get(url(ChargePoint, "changelist"), {"q": payload}).content.decode()
    assert CANARY in listed
    assert Elements(listed).suspicious == []


def test_is_text_in_what_the_admin_says(world: dict[type, Any], client: Client) -> None:
    charge_point = world[ChargePoint].pk
    look(client, url(ChargePoint, "history", charge_point))
    send = reverse("admin:ocpp16_command_send", args=[charge_point, "reset"])
    chosen = {"action": "delete_selected", "_selected_action": [charge_point]}
    for path, form in ((send, {"type": "Soft"}), (url(ChargePoint, "changelist"), chosen)):
        page = client.post(path, form, follow=True).content.decode()
        assert CANARY in page
        assert Elements(page).suspicious == []


def test_would_notice() -> None:
    for name in ("attribute", "script", "direction"):
        assert Elements(f'<p title="{PAYLOADS[name]}">{PAYLOADS[name]}</p>').suspicious
    assert Elements(f"<p title={PAYLOADS['unquoted']}>").suspicious
    assert Elements(f'<a href="{PAYLOADS["address"]}">').suspicious


def test_covers_every_model_of_the_admin(db: None) -> None:
    assert set(MODELS) <= set(fill("ALPHA"))
