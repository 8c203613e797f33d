"""Webhooks in the admin: endpoints and what is done to them, deliveries with their answers, events."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from chargepoints.models import Event, WebhookDelivery, WebhookEndpoint
from chargepoints.models.webhook_endpoint import MAXIMUM_ENDPOINTS
from tests.world import staff

from .webhooks import happen, register

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "/admin/chargepoints/webhookendpoint/add/"
URL = "https://receiver.example/hook"
SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{44}")


@pytest.fixture
def as_staff(organization: Any, client: Client) -> Client:
    client.force_login(staff(organization))
    return client


@pytest.fixture
def endpoint(organization: Any) -> WebhookEndpoint:
    return register(organization, URL)[0]


def fields(organization: Any, **changes: Any) -> dict[str, Any]:
    return {"organization": organization.pk, "url": URL, "events": ["*"], "description": "", "once": "m-1", **changes}


def page(endpoint: Any, view: str) -> str:
    return reverse(f"admin:chargepoints_webhookendpoint_{view}", args=[endpoint.pk])


def secrets_in(response: Any) -> set[str]:
    # Escaped as HTML: base64 has a plus.
    return set(SECRET.findall(response.content.decode().replace("&#x2B;", "+")))


def test_shows_a_new_secret_in_the_answer_to_the_form_only(as_staff: Client, organization: Any) -> None:
    response = as_staff.post(ADD, fields(organization, events=["session.started", "session.ended"]))
    (secret,) = secrets_in(response)
    row = WebhookEndpoint.objects.get()
    assert (row.secrets(), row.events) == ([secret], ["session.started", "session.ended"])
    assert "no-store" in response.headers["Cache-Control"]
    assert "kept encrypted" in response.content.decode()
    for view in ("change", "history"):
        assert not secrets_in(as_staff.get(page(row, view)))


def test_makes_no_second_one_when_the_page_is_reloaded(as_staff: Client, organization: Any) -> None:
    as_staff.post(ADD, fields(organization))
    again = as_staff.post(ADD, fields(organization), follow=True)
    assert "cannot be shown again" in again.content.decode()
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.parametrize("change", [{"url": "http://receiver.example/"}, {"url": "https://10.0.0.1/"}, {"events": []}])
def test_refuses_what_is_no_endpoint(as_staff: Client, organization: Any, change: dict[str, Any]) -> None:
    assert as_staff.post(ADD, fields(organization, **change)).context["errors"]
    assert not WebhookEndpoint.objects.exists()


def test_refuses_one_too_many(as_staff: Client, organization: Any) -> None:
    row = {"organization": organization, "url": URL, "events": ["*"], "secret": "-"}
    WebhookEndpoint.objects.bulk_create(WebhookEndpoint(**row) for _ in range(MAXIMUM_ENDPOINTS))
    response = as_staff.post(ADD, fields(organization))
    assert f"at most {MAXIMUM_ENDPOINTS} endpoints" in response.content.decode()


def test_makes_a_test_endpoint_which_stays_one(as_staff: Client, organization: Any) -> None:
    row = {"organization": organization, "url": URL, "events": ["*"], "secret": "-"}
    WebhookEndpoint.objects.bulk_create(WebhookEndpoint(**row) for _ in range(MAXIMUM_ENDPOINTS))
    as_staff.post(ADD, fields(organization, is_test="on"))
    endpoint = WebhookEndpoint.objects.get(is_test=True)
    as_staff.post(page(endpoint, "change"), {"url": URL, "events": ["session.ended"], "description": ""})
    endpoint.refresh_from_db()
    assert (endpoint.events, endpoint.mode) == (["session.ended"], "test")


def test_changes_an_endpoint(as_staff: Client, endpoint: Any) -> None:
    secret = endpoint.secret
    changes = {"url": "https://other.example/", "events": ["session.ended"], "description": "New"}
    assert as_staff.post(page(endpoint, "change"), changes).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.events, endpoint.description) == tuple(changes.values())
    assert endpoint.secret == secret


def test_pauses_and_resumes_once_it_is_confirmed(as_staff: Client, endpoint: Any) -> None:
    for tool, status in (("pause", "paused"), ("resume", "active")):
        before = WebhookEndpoint.objects.get().status
        assert as_staff.get(page(endpoint, tool)).status_code == 200
        assert WebhookEndpoint.objects.get().status == before
        as_staff.post(page(endpoint, tool))
        assert WebhookEndpoint.objects.get().status == status


def test_offers_what_the_state_allows(as_staff: Client, endpoint: Any) -> None:
    shown = as_staff.get(page(endpoint, "change")).content.decode()
    assert page(endpoint, "pause") in shown
    assert page(endpoint, "resume") not in shown
    endpoint.pause("failing")
    shown = as_staff.get(page(endpoint, "change")).content.decode()
    assert page(endpoint, "resume") in shown
    assert page(endpoint, "pause") not in shown
    assert "Failing" in shown


def test_rotates_the_secret_and_shows_it_once(as_staff: Client, endpoint: Any) -> None:
    (old,) = endpoint.secrets()
    assert not secrets_in(as_staff.get(page(endpoint, "rotate")))
    (new,) = secrets_in(as_staff.post(page(endpoint, "rotate"), {"once": "m-2"}))
    assert WebhookEndpoint.objects.get().secrets() == [new, old]
    assert not secrets_in(as_staff.post(page(endpoint, "rotate"), {"once": "m-2"}, follow=True))
    assert WebhookEndpoint.objects.get().secrets() == [new, old]


def test_sends_a_test(as_staff: Client, endpoint: Any) -> None:
    as_staff.post(page(endpoint, "test"))
    assert WebhookDelivery.objects.get().event.type == "webhook.test"


def deliver(organization: Any, make_charge_point: Any, *marks: str) -> list[WebhookDelivery]:
    """Deliveries that were given up, with what was answered."""
    happen(make_charge_point(), *marks)
    attempt = {
        "started_at": "2026-01-01T00:00:00Z",
        "status_code": 503,
        "error": None,
        "answer": "down",
        "duration_ms": 7,
    }
    WebhookDelivery.objects.update(state="given_up", next_attempt_at=None, attempts=[attempt])
    return list(WebhookDelivery.objects.order_by("event_id"))


def test_resends_what_was_published_since(
    as_staff: Client, endpoint: Any, organization: Any, make_charge_point: Any
) -> None:
    deliver(organization, make_charge_point, "a", "b")
    later = {"since_0": "2100-01-01", "since_1": "00:00", "status": ""}
    as_staff.post(page(endpoint, "resend"), later)
    assert not WebhookDelivery.objects.pending().exists()
    assert as_staff.post(page(endpoint, "resend"), {"since_0": "soon"}).context["form"].errors
    as_staff.post(page(endpoint, "resend"), {**later, "since_0": "2020-01-01", "status": "delivered"})
    assert not WebhookDelivery.objects.pending().exists()
    as_staff.post(page(endpoint, "resend"), {**later, "since_0": "2020-01-01"})
    assert WebhookDelivery.objects.pending().count() == 2


def test_shows_what_was_answered_and_resends_one(
    as_staff: Client, endpoint: Any, organization: Any, make_charge_point: Any
) -> None:
    one, other = deliver(organization, make_charge_point, "a", "b")
    where = reverse("admin:chargepoints_webhookdelivery_change", args=[one.pk])
    shown = as_staff.get(where).content.decode()
    assert "503 (7 ms)" in shown
    assert "down" in shown
    resend = reverse("admin:chargepoints_webhookdelivery_resend", args=[one.pk])
    assert resend in shown
    as_staff.get(resend)
    assert not WebhookDelivery.objects.pending().exists()
    as_staff.post(resend)
    assert WebhookDelivery.objects.pending().get() == one
    other.refresh_from_db()
    assert other.state == "given_up"


def test_narrows_deliveries_to_an_endpoint(
    as_staff: Client, endpoint: Any, organization: Any, make_charge_point: Any
) -> None:
    second, _ = register(organization, "https://second.example/")
    happen(make_charge_point(), "a")
    changelist = reverse("admin:chargepoints_webhookdelivery_changelist")
    for asked, count in (({}, 2), ({"endpoint": second.pk}, 1), ({"endpoint": "nonsense"}, 0)):
        assert as_staff.get(changelist, asked).context["cl"].result_count == count


def test_shows_the_body_of_an_event(as_staff: Client, make_charge_point: Any) -> None:
    row = make_charge_point()
    happen(row, "marked")
    event = Event.objects.get()
    shown = as_staff.get(reverse("admin:chargepoints_event_change", args=[event.pk])).content.decode()
    assert str(event.uuid) in shown
    assert "marked" in shown


def test_lets_who_may_only_look_do_nothing(
    organization: Any, endpoint: Any, make_charge_point: Any, client: Client
) -> None:
    (delivery,) = deliver(organization, make_charge_point, "a")
    looking = Permission.objects.filter(codename__in=["view_webhookendpoint", "view_webhookdelivery"])
    client.force_login(staff(organization, permissions=looking))
    before = WebhookEndpoint.objects.values().get()
    for tool in ("pause", "resume", "test", "resend", "rotate"):
        assert client.post(page(endpoint, tool), {"once": "m-3"}).status_code == 403
    resend = reverse("admin:chargepoints_webhookdelivery_resend", args=[delivery.pk])
    assert client.post(resend).status_code == 403
    shown = client.get(reverse("admin:chargepoints_webhookdelivery_change", args=[delivery.pk]))
    assert resend not in shown.content.decode()
    assert WebhookEndpoint.objects.values().get() == before
    assert not WebhookDelivery.objects.pending().exists()
