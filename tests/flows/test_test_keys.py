"""Test keys, over every route: what is simulated they reach, and real charge points do not exist for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.models import (
    ChargePoint,
    IdTag,
    Transaction,
    WebhookDelivery,
    WebhookEndpoint,
)
from ocpp16.models import BulkCommand, Command
from ocpp16.orders import EXAMPLES as ORDERS
from tests.api import Api, error_of, make_charge_point
from tests.chargepoints.api.test_access import BULK, USES, Use, every
from tests.chargepoints.webhooks import happen
from tests.databases import made_once
from tests.ocpp16.reference import EXAMPLES
from tests.world import fill

pytestmark = pytest.mark.django_db

ROOT, WEBHOOKS, KEYS = "/api/v1", "/webhooks/endpoints", "/org/api-keys"
ENDPOINT, KEY = f"{WEBHOOKS}/{{endpoint}}", f"{KEYS}/{{key}}"
SINCE = {"since": "2024-01-01T00:00:00Z"}
NEW_KEY = {"name": "Portal", "scopes": ["read:sessions"]}
OF_REAL_ONES = ("id_tag", "id_tags", "id_tags_bulk")
PUBLIC = {"schema", "docs"}

COMMANDS = [
    Use(name, "POST", f"/ocpp16/{name}", "", {**example.body, "charge_point_id": "ALPHA-CP"}, 422)
    for name, example in EXAMPLES.items()
]
COMMANDS += [
    Use(name, "POST", f"/simulator/{name}", "", {"charge_point_id": "ALPHA-CP", **body}, 422)
    for name, body in ORDERS.items()
]
RESOURCES = [
    *USES,
    Use("messages", "GET", "/charge-points/{charge_point}/messages", ""),
    Use("active_transactions", "GET", "/ocpp16/active_transactions/{charge_point}", ""),
    Use("charge_points_status", "GET", "/ocpp16/charge_points/status", ""),
    Use("events", "GET", "/events", ""),
    Use("events", "GET", "/events?charge_point_id={charge_point}", ""),
    Use("bulk_commands", "POST", "/commands/bulk", "", {**BULK, "charge_point_ids": ["ALPHA-CP"]}, 202),
    Use("bulk_commands", "POST", "/commands/bulk", "", {"command": "ClearCache", "payload": {}, "filter": {}}, 202),
    Use("simulations", "POST", "/simulator/charge-points", "", {"charge_point_id": "NEW"}, 201),
    Use("simulation", "DELETE", "/simulator/charge-points/{charge_point}", "", status=204),
    Use("me", "GET", "/me", ""),
    Use("api_keys", "GET", KEYS, ""),
    Use("api_keys", "POST", KEYS, "", NEW_KEY, 201),
    Use("api_key", "GET", KEY, ""),
    Use("rotate_api_key", "POST", f"{KEY}/rotate", "", {}, 201),
    Use("revoke_api_key", "POST", f"{KEY}/revoke", "", {}),
    Use("webhook_endpoints", "GET", WEBHOOKS, ""),
    Use("webhook_endpoints", "POST", WEBHOOKS, "", {"url": "https://receiver.example/"}, 201),
    Use("webhook_endpoint", "GET", ENDPOINT, ""),
    Use("webhook_endpoint", "PATCH", ENDPOINT, "", {"description": "new"}),
    Use("webhook_deliveries", "GET", f"{ENDPOINT}/deliveries", ""),
    Use("webhook_delivery", "GET", f"{ENDPOINT}/deliveries/{{delivery}}", ""),
    Use("webhook_resend", "POST", f"{ENDPOINT}/deliveries/{{delivery}}/resend", "", {}),
    Use("webhook_resend_since", "POST", f"{ENDPOINT}/resend", "", SINCE),
    *(Use(f"webhook_{name}", "POST", f"{ENDPOINT}/{name}", "", {}) for name in ("pause", "resume", "rotate_secret")),
    Use("webhook_test", "POST", f"{ENDPOINT}/test", "", {}),
    Use("webhook_endpoint", "DELETE", ENDPOINT, "", status=204),
]
ALL = [*COMMANDS, *RESOURCES]


class World:
    """ALPHA, with a row of everything, and a test key of its."""

    def __init__(self, rows: dict[type, Any]) -> None:
        self.rows = rows
        self.api = Api(self.rows[Organization], SCOPES, ROOT, is_test=True)
        self.named = {
            "charge_point": self.rows[ChargePoint].identity,
            "session": self.rows[Transaction].pk,
            "id_tag": self.rows[IdTag].id_tag,
            "command": self.rows[Command].pk,
            "bulk": self.rows[BulkCommand].pk,
            "endpoint": self.rows[WebhookEndpoint].pk,
            "delivery": self.rows[WebhookDelivery].pk,
            "key": self.rows[ApiKey].pk,
        }

    def use(self, use: Use) -> Any:
        path = use.path.format(**self.named)
        if use.body is None:
            return self.api.client.generic(use.method, ROOT + path, headers=self.api.headers({}))
        return self.api.send(use.method, path, use.body)

    def state(self) -> Any:
        """All that must stay as it is, whatever a test key does."""
        return [list(type(row).objects.filter(pk=row.pk).values()) for row in self.rows.values()]

    def simulate(self) -> None:
        """Have it all be of the sandbox."""
        ChargePoint.objects.update(is_simulated=True)
        WebhookEndpoint.objects.update(is_test=True)
        ApiKey.objects.update(is_test=True)
        BulkCommand.objects.update(api_key=self.api.row)


filled = made_once(lambda: fill("ALPHA"))


@pytest.fixture
def alpha(db: None, filled: Callable[[], Any]) -> World:
    return World(filled())


def names_of_routes(patterns: Any = None, start: str = "") -> set[str]:
    found = set()
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        path = start + str(pattern.pattern)
        if not isinstance(pattern, URLPattern):
            found |= names_of_routes(pattern.url_patterns, path)
        elif path.startswith("api/") and pattern.name:
            found.add(pattern.name)
    return found


def text_of(response: Any) -> str:
    return "" if response.streaming else response.content.decode()


def test_every_route_is_tried() -> None:
    assert names_of_routes() - PUBLIC == {use.name for use in ALL}


@every(ALL)
def test_knows_no_real_charge_point(use: Use, alpha: World) -> None:
    before = alpha.state()
    response = alpha.use(use)
    if use.name in OF_REAL_ONES:
        assert error_of(response, 403, "forbidden")["details"] == {"mode": "test"}
    elif use in COMMANDS or use.is_of_one:
        error_of(response, 404, "not_found")
    elif use.name == "bulk_commands" and use.method == "POST":
        error_of(response, 400, "validation_error")
    else:
        assert response.status_code == use.status
        if use.name != "me":  # which names the organization
            assert "ALPHA" not in text_of(response)
    assert alpha.state() == before
    assert Command.objects.count() == 1
    assert ChargePoint.objects.filter(is_simulated=False).count() == 1


@every([use for use in ALL if use.name not in OF_REAL_ONES])
def test_reaches_simulated_charge_points_as_any_key(use: Use, alpha: World) -> None:
    alpha.simulate()
    response = alpha.use(use)
    assert response.status_code == use.status, text_of(response)
    if use.is_of_one and use.method == "GET" and not response.streaming:
        assert response.json()


def test_tells_what_does_not_exist_and_what_is_real_alike(alpha: World) -> None:
    real, absent = (alpha.api.get(f"/charge-points/{identity}") for identity in ("ALPHA-CP", "NOWHERE"))
    assert (real.status_code, real.content) == (absent.status_code, absent.content)


def test_makes_simulated_charge_points_only(alpha: World) -> None:
    made = alpha.api.post("charge-points", {"charge_point_id": "SIM"})
    assert (made.status_code, made.json()["is_simulated"]) == (201, True)
    error_of(alpha.api.post("charge-points", {"charge_point_id": "ALPHA-CP"}), 409, "conflict")
    for value in (True, False):
        body = {"charge_point_id": "OTHER", "is_simulated": value}
        assert "is_simulated" in error_of(alpha.api.post("charge-points", body), 400, "validation_error")["details"]
        assert alpha.api.patch("/charge-points/SIM", {"is_simulated": value}).status_code == 400
    live = Api(alpha.rows[Organization], SCOPES, ROOT).post("charge-points", {"charge_point_id": "REAL"})
    assert live.json()["is_simulated"] is False


def test_makes_and_sees_test_keys_only(alpha: World) -> None:
    made = alpha.api.post(KEYS, NEW_KEY).json()
    assert (made["mode"], made["key"][:9], made["prefix"]) == ("test", "dyn_test_", made["key"][:17])
    error = error_of(alpha.api.post(KEYS, {**NEW_KEY, "mode": "live"}), 403, "forbidden")
    assert error["details"] == {"exceeds": ["mode"]}
    listed = alpha.api.get(KEYS).json()["api_keys"]
    assert [row["prefix"] for row in listed] == [alpha.api.row.prefix, made["prefix"]]
    successor = alpha.api.post(f"{KEYS}/{made['id']}/rotate", {}).json()
    assert (successor["mode"], successor["key"][:9]) == ("test", "dyn_test_")
    assert alpha.api.get("/me").json()["mode"] == "test"


def test_may_be_made_by_a_live_key(alpha: World) -> None:
    live = Api(alpha.rows[Organization], SCOPES, ROOT)
    assert [live.post(KEYS, {**NEW_KEY, **mode}).json()["mode"] for mode in ({}, {"mode": "live"})] == ["live"] * 2
    made = live.post(KEYS, {**NEW_KEY, "mode": "test"}).json()
    assert ApiKey.objects.find(made["key"]).is_test
    error_of(live.post(KEYS, {**NEW_KEY, "mode": "dry"}), 400, "validation_error")


def test_reaches_nothing_of_another_organization(alpha: World) -> None:
    alpha.simulate()
    other = Api(Organization.objects.create(name="Other"), SCOPES, ROOT, is_test=True)
    error_of(other.get("/charge-points/ALPHA-CP"), 404, "not_found")


def test_tells_of_simulated_charge_points_among_real_ones(alpha: World) -> None:
    simulated = ChargePoint.objects.provision(alpha.rows[Organization], "SIM", None, is_simulated=True)
    for row in (simulated, alpha.rows[ChargePoint]):
        happen(row, "mark")
    (event,) = alpha.api.get("/events").json()["events"]
    assert (event["data"]["charge_point_id"], event["data"]["is_simulated"]) == ("SIM", True)
    live = Api(alpha.rows[Organization], SCOPES, ROOT).get("/events").json()["events"]
    assert {(told["data"]["charge_point_id"], told["data"]["is_simulated"]) for told in live} == {
        ("SIM", True),
        ("ALPHA-CP", False),
    }
    assert alpha.api.get("/cpo/fleet/summary").json()["total_chargers"] == 1
    assert [row["charge_point_id"] for row in alpha.api.get("/charge-points?simulated=true").json()["charge_points"]]
    assert alpha.api.get("/ocpp16/charge_points/status").json()["total"] == 1


def test_bulk_commands_go_to_simulated_charge_points_only(alpha: World) -> None:
    simulated = ChargePoint.objects.provision(alpha.rows[Organization], "SIM", None, is_simulated=True)
    order = {"command": "ClearCache", "payload": {}, "filter": {}}
    made = alpha.api.post("commands/bulk", order).json()
    assert made["total"] == 1
    assert BulkCommand.objects.get(pk=made["id"]).targets.get().charge_point == simulated
    assert alpha.api.get(f"/commands/bulk/{made['id']}").status_code == 200
    assert [row["id"] for row in alpha.api.get("/commands/bulk").json()["bulk_commands"]] == [made["id"]]


def test_test_endpoints_are_told_of_simulated_charge_points_only(alpha: World) -> None:
    organization = alpha.rows[Organization]
    simulated = ChargePoint.objects.provision(organization, "SIM", None, is_simulated=True)
    made = alpha.api.post("webhooks/endpoints", {"url": "https://receiver.example/"}).json()
    assert made["mode"] == "test"
    for row in (simulated, alpha.rows[ChargePoint]):
        happen(row, "mark")
    told = {
        endpoint.mode: {each.event.charge_point.identity for each in endpoint.deliveries.exclude(event__type="x")}
        for endpoint in WebhookEndpoint.objects.all()
    }
    assert told == {"test": {"SIM"}, "live": {"SIM", "ALPHA-CP"}}
    live = Api(organization, SCOPES, ROOT).post("webhooks/endpoints", {"url": "https://receiver.example/"}).json()
    assert live["mode"] == "live"
    listed = alpha.api.get("/webhooks/endpoints").json()["endpoints"]
    assert [row["id"] for row in listed] == [made["id"]]


def test_a_tag_at_a_simulated_charge_point_is_free_for_its_driver(alpha: World) -> None:
    """Otherwise a test session would be ConcurrentTx for the real card."""
    real, other = alpha.rows[ChargePoint], make_charge_point(alpha.rows[Organization], "ALPHA-2")
    simulated = ChargePoint.objects.provision(alpha.rows[Organization], "SIM", None, is_simulated=True)
    elsewhere = Transaction.objects.charging_elsewhere
    assert elsewhere(other, 1, "ALPHA-TAG").get().charge_point == real
    assert not elsewhere(simulated, 1, "ALPHA-TAG").exists()
    Transaction.objects.update(charge_point=simulated)
    assert not elsewhere(other, 1, "ALPHA-TAG").exists()
