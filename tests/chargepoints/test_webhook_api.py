"""/api/v1/webhooks/endpoints: what integrators do with their endpoints, and see of what was delivered."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apikeys.models import ApiKey, Organization
from chargepoints.models import WebhookDelivery, WebhookEndpoint
from chargepoints.models.webhook_endpoint import MAXIMUM_ENDPOINTS
from chargepoints.webhooks import signing
from tests.api import Api, error_of, make_api, make_charge_point
from tests.events import TIME, assert_described

from .webhooks import happen

pytestmark = pytest.mark.django_db(transaction=True)

ENDPOINTS = "/api/v1/webhooks/endpoints"
URL = "https://receiver.example/hook"
FIELDS = [field.attname for field in WebhookEndpoint._meta.concrete_fields]
MEMBERS = [
    *("id", "url", "description", "events", "mode", "status", "paused_reason", "failing_since"),
    *("previous_secret_expires_at", "created_at"),
]


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.fixture
def made(api: Api) -> Any:
    """An endpoint, as the answer to its creation has it."""
    response = api.post(ENDPOINTS, {"url": URL})
    assert response.status_code == 201, response.content
    return response.json()


def path(made: Any, rest: str = "") -> str:
    return f"{ENDPOINTS}/{made['id']}{rest}"


def told(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.content
    return response.json()


def test_creates_an_endpoint_and_tells_its_secret_once(api: Api) -> None:
    body = {"url": URL, "events": ["session.started", "charge_point.fault"], "description": "Billing"}
    made = told(api.post(ENDPOINTS, body), 201)
    assert list(made) == [*MEMBERS, "secret"]
    assert {name: made[name] for name in body} == body
    assert (made["status"], made["paused_reason"], made["failing_since"]) == ("active", None, None)
    assert TIME.fullmatch(made["created_at"])
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert told(api.get(path(made))) == made
    assert told(api.get(ENDPOINTS)) == {"endpoints": [made], "total": 1, "page": 1, "per_page": 50}
    (row,) = WebhookEndpoint.objects.all()
    assert secret not in row.secret
    assert signing.unseal(row.secret) == secret


def test_tells_where_the_endpoint_is(api: Api) -> None:
    response = api.post(ENDPOINTS, {"url": URL})
    assert told(api.get(response.headers["Location"])).items() <= told(response, 201).items()


def test_wants_everything_unless_it_is_told_otherwise(made: Any) -> None:
    assert (made["events"], made["description"]) == (["*"], "")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["url"]),
        ({"url": None}, ["url"]),
        ({"url": 5}, ["url"]),
        ({"url": "http://receiver.example/"}, ["url"]),
        ({"url": "https://10.0.0.1/"}, ["url"]),
        ({"url": "https://user:secret@receiver.example/"}, ["url"]),
        ({"url": URL + "x" * 500}, ["url"]),
        ({"url": URL, "events": []}, ["events"]),
        ({"url": URL, "events": "*"}, ["events"]),
        ({"url": URL, "events": ["session.paid"]}, ["events[0]"]),
        ({"url": URL, "events": ["webhook.test"]}, ["events[0]"]),
        ({"url": URL, "events": ["*"] * 50}, ["events"]),
        ({"url": URL, "description": "x" * 201}, ["description"]),
        ({"url": URL, "secret": "whsec_mine"}, ["secret"]),
        ({"url": "ftp://x", "events": [], "more": 1}, ["more", "url", "events"]),
    ],
)
def test_refuses_what_is_no_endpoint(api: Api, body: Any, fields: list[str]) -> None:
    assert list(error_of(api.post(ENDPOINTS, body), 400, "validation_error")["details"]) == fields
    assert not WebhookEndpoint.objects.exists()


def test_refuses_one_too_many(api: Api) -> None:
    fields = {"organization": api.organization, "url": URL, "events": ["*"], "secret": "-"}
    WebhookEndpoint.objects.bulk_create(WebhookEndpoint(**fields) for _ in range(MAXIMUM_ENDPOINTS))
    error = error_of(api.post(ENDPOINTS, {"url": URL}), 400, "validation_error")
    problem = f"An organization has at most {MAXIMUM_ENDPOINTS} endpoints, and as many test endpoints."
    assert error["details"] == {"url": [problem]}
    told(Api(api.organization, is_test=True).post(ENDPOINTS, {"url": URL}), 201)
    told(make_api("Another").post(ENDPOINTS, {"url": URL}), 201)


def test_lists_page_by_page_the_oldest_first(api: Api) -> None:
    ids = [told(api.post(ENDPOINTS, {"url": URL}), 201)["id"] for _ in range(3)]
    pages = [told(api.get(ENDPOINTS, {"page": page, "per_page": 2})) for page in (1, 2, 3)]
    assert [[row["id"] for row in page["endpoints"]] for page in pages] == [ids[:2], ids[2:], []]
    assert {page["total"] for page in pages} == {3}
    error_of(api.get(ENDPOINTS, {"page": "0"}), 400, "validation_error")
    error_of(api.get(ENDPOINTS, {"per_page": "201"}), 400, "validation_error")


def test_changes_what_is_given(api: Api, made: Any) -> None:
    changed = told(api.patch(path(made), {"events": ["session.ended"]}))
    assert (changed["events"], changed["url"]) == (["session.ended"], URL)
    changed = told(api.patch(path(made), {"url": "https://other.example/", "description": "New"}))
    assert (changed["events"], changed["url"], changed["description"]) == (
        ["session.ended"],
        "https://other.example/",
        "New",
    )
    assert told(api.patch(path(made), {})) == changed
    assert told(api.get(path(made))) == changed
    error = error_of(api.patch(path(made), {"url": "http://x", "status": "paused"}), 400, "validation_error")
    assert list(error["details"]) == ["status", "url"]


def test_pauses_and_resumes(api: Api, made: Any) -> None:
    for _ in range(2):
        paused = told(api.post(path(made, "/pause"), {}))
        assert (paused["status"], paused["paused_reason"]) == ("paused", "requested")
    row = make_charge_point(api.organization)
    happen(row, "a")
    assert WebhookDelivery.objects.claim_endpoints(10) == []
    for _ in range(2):
        resumed = told(api.post(path(made, "/resume"), {}))
        assert (resumed["status"], resumed["paused_reason"]) == ("active", None)
    # The server's deliverer, where it has one, may have been quicker.
    assert WebhookDelivery.objects.claim_endpoints(10) or WebhookEndpoint.objects.get(pk=made["id"]).claim


def test_shows_since_when_an_endpoint_fails(api: Api, made: Any) -> None:
    WebhookEndpoint.objects.update(failing_since=timezone.now())
    shown = told(api.get(path(made)))
    assert shown["status"] == "failing"
    assert TIME.fullmatch(shown["failing_since"])


def test_rotates_the_secret(api: Api, made: Any) -> None:
    rotated = told(api.post(path(made, "/rotate_secret"), {}))
    assert list(rotated) == [*MEMBERS, "secret"]
    assert rotated["secret"] != made["secret"]
    assert rotated["previous_secret_expires_at"] is not None
    assert WebhookEndpoint.objects.get().secrets() == [rotated["secret"], made["secret"]]
    assert "secret" not in told(api.get(path(made)))


def test_deletes_with_all_deliveries(api: Api, made: Any) -> None:
    happen(make_charge_point(api.organization), "a")
    assert api.delete(path(made)).status_code == 204
    assert not WebhookDelivery.objects.exists()
    error_of(api.get(path(made)), 404, "not_found")
    error_of(api.delete(path(made)), 404, "not_found")


def test_sends_a_test(api: Api, made: Any) -> None:
    delivery = told(api.post(path(made, "/test"), {}))
    assert (delivery["event"], delivery["charge_point_id"], delivery["status"]) == ("webhook.test", None, "pending")
    assert told(api.get(path(made, f"/deliveries/{delivery['id']}")))["body"]["data"] == {"endpoint_id": made["id"]}


ATTEMPT = {
    "started_at": "2026-01-01T00:00:00Z",
    "status_code": 503,
    "error": None,
    "answer": "down",
    "duration_ms": 12,
}


def ended(state: str = "given_up", **fields: Any) -> None:
    """Have all deliveries ended."""
    WebhookDelivery.objects.update(state=state, attempts=[ATTEMPT], next_attempt_at=None, tries=9, **fields)


def test_lists_deliveries_with_their_attempts_the_newest_first(api: Api, made: Any) -> None:
    row = make_charge_point(api.organization)
    happen(row, *"abc")
    ended()
    page = told(api.get(path(made, "/deliveries"), {"per_page": 2}))
    assert (page["total"], page["page"], page["per_page"], len(page["deliveries"])) == (3, 1, 2, 2)
    first = page["deliveries"][0]
    assert list(first) == [
        *("id", "event_id", "event", "charge_point_id", "status", "created_at", "next_attempt_at", "ended_at"),
        "attempts",
    ]
    assert (first["event"], first["charge_point_id"]) == ("security.event", row.identity)
    assert (first["status"], first["attempts"]) == ("given_up", [ATTEMPT])
    whole = told(api.get(path(made, f"/deliveries/{first['id']}")))
    assert_described(whole["body"])
    assert whole["body"]["id"] == first["event_id"]
    assert whole["body"]["data"]["type"] == "c"


def test_lists_deliveries_of_a_status(api: Api, made: Any) -> None:
    happen(make_charge_point(api.organization), *"ab")
    WebhookDelivery.objects.filter(event__data__type="a").update(state="delivered")
    for status, count in (("delivered", 1), ("pending", 1), ("given_up", 0)):
        assert told(api.get(path(made, "/deliveries"), {"status": status}))["total"] == count
    error_of(api.get(path(made, "/deliveries"), {"status": "lost"}), 400, "validation_error")


def test_resends_one(api: Api, made: Any) -> None:
    happen(make_charge_point(api.organization), *"ab")
    ended()
    one, other = WebhookDelivery.objects.order_by("event_id")
    again = told(api.post(path(made, f"/deliveries/{one.pk}/resend"), {}))
    assert (again["id"], again["status"], again["attempts"]) == (str(one.pk), "pending", [ATTEMPT])
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.tries, one.gives_up_at, other.state) == (0, None, "given_up")
    assert WebhookDelivery.objects.due().get() == one


@pytest.mark.parametrize(("status", "count"), [(None, 3), ("given_up", 2), ("delivered", 1)])
def test_resends_what_happened_since(api: Api, made: Any, status: str | None, count: int) -> None:
    happen(make_charge_point(api.organization), *"abcde")
    ended()
    rows = list(WebhookDelivery.objects.order_by("event_id"))
    day_ago = timezone.now() - timedelta(days=1)
    WebhookDelivery.objects.filter(pk=rows[0].pk).update(created_at=day_ago)
    WebhookDelivery.objects.filter(pk=rows[1].pk).update(state="delivered")
    WebhookDelivery.objects.filter(pk=rows[2].pk).update(state="pending", tries=4)
    since = (day_ago + timedelta(minutes=1)).isoformat()
    body = {"since": since} | ({"status": status} if status else {})
    assert told(api.post(path(made, "/resend"), body)) == {"resent": count}
    assert WebhookDelivery.objects.pending().count() == count + 1
    assert WebhookDelivery.objects.get(pk=rows[2].pk).tries == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00Z", "status": "pending"}, "status"),
    ],
)
def test_resends_nothing_that_was_not_said(api: Api, made: Any, body: Any, field: str) -> None:
    assert list(error_of(api.post(path(made, "/resend"), body), 400, "validation_error")["details"]) == [field]


def every_request(made: Any, delivery: Any) -> list[tuple[str, str]]:
    rest = ["/pause", "/resume", "/rotate_secret", "/test", "/resend", f"/deliveries/{delivery}/resend"]
    reads = ["", "/deliveries", f"/deliveries/{delivery}"]
    return [
        *(("post", path(made, each)) for each in rest),
        *(("get", path(made, each)) for each in reads),
        ("patch", path(made)),
        ("delete", path(made)),
    ]


def ask(api: Api, method: str, path: str) -> Any:
    arguments = [{"since": "2026-01-01T00:00:00Z"} if path.endswith("/resend") else {}]
    return getattr(api, method)(path, *([] if method == "delete" else arguments))


def test_hides_everything_from_another_organization(api: Api, made: Any) -> None:
    happen(make_charge_point(api.organization), "a")
    # A server that other tests have left may have claimed it, to deliver what happened.
    told_of = WebhookEndpoint.objects.values(*(set(FIELDS) - {"claim", "claimed_until", "failing_since"}))
    before = told_of.get()
    stranger = make_api("Stranger")
    for method, where in every_request(made, WebhookDelivery.objects.get().pk):
        hidden = error_of(ask(stranger, method, where), 404, "not_found")
        missing = error_of(ask(stranger, method, where.replace(made["id"], str(uuid.uuid4()))), 404, "not_found")
        assert hidden == missing
    assert told(stranger.get(ENDPOINTS))["total"] == 0
    assert told_of.all().get() == before
    assert WebhookDelivery.objects.count() == 1


def test_refuses_a_parameter_that_it_does_not_know(api: Api, made: Any) -> None:
    delivery = told(api.post(path(made, "/test"), {}))
    for method, where in every_request(made, delivery["id"]):
        error = error_of(ask(api, method, f"{where}?state=pending"), 400, "validation_error")
        assert error["details"] == {"state": ["Unknown parameter."]}


def test_hides_deliveries_to_another_endpoint(api: Api, made: Any) -> None:
    other = told(api.post(ENDPOINTS, {"url": URL, "events": ["session.started"]}), 201)
    happen(make_charge_point(api.organization), "a")
    delivery = WebhookDelivery.objects.get()
    error_of(api.get(path(other, f"/deliveries/{delivery.pk}")), 404, "not_found")
    error_of(api.post(path(other, f"/deliveries/{delivery.pk}/resend"), {}), 404, "not_found")


def test_asks_for_its_scope(made: Any) -> None:
    api = Api(Organization.objects.get(), ["read:charge_points", "write:charge_points"])
    for method, where in [("post", ENDPOINTS), ("get", ENDPOINTS), *every_request(made, uuid.uuid4())]:
        error = error_of(ask(api, method, where), 403, "forbidden")
        assert error["details"] == {"required_scope": "write:webhooks"}
    error_of(api.client.get(ENDPOINTS), 401, "unauthorized")


@pytest.mark.parametrize("where", ["/x", "/5b8f0c5e", "/5b8f0c5e-4f3c-4a35-9d5d-0a8c1f7f2a11/nothing"])
def test_knows_no_other_address(api: Api, where: str) -> None:
    error_of(api.get(ENDPOINTS + where), 404, "not_found")


def test_takes_each_by_its_method_only(api: Api, made: Any) -> None:
    error_of(api.delete(ENDPOINTS), 405, "method_not_allowed")
    error_of(api.get(path(made, "/pause")), 405, "method_not_allowed")
    error_of(api.post(path(made), {}), 405, "method_not_allowed")


def test_is_not_for_keys_that_are_limited_to_some_charge_points(api: Api, made: Any) -> None:
    ApiKey.objects.filter(pk=api.row.pk).update(allowed_charge_points=["CP-1"])
    details = {"allowed_charge_points": ["CP-1"]}
    for response in (api.get(ENDPOINTS), api.post(ENDPOINTS, {"url": URL}), api.post(path(made, "/test"), {})):
        assert error_of(response, 403, "forbidden")["details"] == details
