"""Who may use the resources: each asks for its scope, and shows and touches its own organization's rows only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint, IdTag, Transaction
from dynamo.urls import resources
from ocpp16.models import BulkCommand, Command
from tests.api import RESOURCES, Api, error_of, make_api
from tests.databases import made_once
from tests.world import fill

READ, WRITE, SESSIONS = "read:charge_points", "write:charge_points", "read:sessions"
UNKNOWN = "9f3ac1de-5a52-4bf1-9f6c-1d2b8f6f0c11"
NOWHERE = {"charge_point": "NOWHERE-CP", "session": 1, "id_tag": "NOWHERE-TAG", "command": UNKNOWN, "bulk": UNKNOWN}
# Refused for its charge point, so that it may be tried by everybody.
BULK = {"command": "ClearCache", "payload": {}, "charge_point_ids": ["NOWHERE-CP"]}


class Use(NamedTuple):
    """One way to use a resource; in braces stands what belongs to ALPHA."""

    name: str
    method: str
    path: str
    scope: str
    body: Any = None
    status: int = 200

    @property
    def is_of_one(self) -> bool:
        """Whether the path names something that another organization has not."""
        return "{" in self.path


USES = [
    Use("charge_points", "GET", "/charge-points", READ),
    Use("charge_points", "POST", "/charge-points", WRITE, {"charge_point_id": "NEW"}, 201),
    Use("charge_point", "GET", "/charge-points/{charge_point}", READ),
    Use("charge_point", "PATCH", "/charge-points/{charge_point}", WRITE, {"description": "new"}),
    Use("connectors", "GET", "/charge-points/{charge_point}/connectors", READ),
    Use("password", "POST", "/charge-points/{charge_point}/password", WRITE, {}),
    Use("sessions", "GET", "/sessions", SESSIONS),
    Use("sessions_file", "GET", "/sessions.csv", SESSIONS),
    Use("session", "GET", "/sessions/{session}", SESSIONS),
    Use("meter_values", "GET", "/sessions/{session}/meter-values", SESSIONS),
    Use("meter_values_file", "GET", "/sessions/{session}/meter-values.csv", SESSIONS),
    Use("configuration", "GET", "/charge-points/{charge_point}/configuration", READ),
    Use("status_history", "GET", "/charge-points/{charge_point}/status-history", READ),
    Use("security_events", "GET", "/charge-points/{charge_point}/security-events", READ),
    Use("fleet_summary", "GET", "/cpo/fleet/summary", "read:analytics"),
    Use("reservations", "GET", "/reservations", READ),
    Use("charging_profiles", "GET", "/charging-profiles", READ),
    Use("id_tags", "GET", "/id-tags", READ),
    Use("id_tags", "POST", "/id-tags", WRITE, {"id_tag": "NEW"}, 201),
    Use("id_tags_bulk", "POST", "/id-tags/bulk", WRITE, {"upsert": [{"id_tag": "NEW"}]}),
    Use("id_tag", "GET", "/id-tags/{id_tag}", READ),
    Use("id_tag", "PATCH", "/id-tags/{id_tag}", WRITE, {"status": "Blocked"}),
    Use("id_tag", "DELETE", "/id-tags/{id_tag}", WRITE, status=204),
    Use("commands", "GET", "/commands", READ),
    Use("command", "GET", "/commands/{command}", READ),
    Use("cancel_command", "POST", "/commands/{command}/cancel", WRITE, {}, 409),
    Use("bulk_commands", "GET", "/commands/bulk", READ),
    Use("bulk_commands", "POST", "/commands/bulk", WRITE, BULK, 400),
    Use("bulk_command", "GET", "/commands/bulk/{bulk}", READ),
    Use("bulk_results", "GET", "/commands/bulk/{bulk}/results", READ),
    Use("stop_bulk_command", "POST", "/commands/bulk/{bulk}/stop", WRITE, {}, 409),
]


def every(uses: list[Use]) -> Any:
    return pytest.mark.parametrize("use", uses, ids=[f"{use.method} {use.path}" for use in uses])


every_use = every(USES)
every_use_of_one = every([use for use in USES if use.is_of_one])


class World:
    """ALPHA, with a row of everything."""

    def __init__(self, rows: dict[type, Any]) -> None:
        self.rows = rows
        self.named = {
            "charge_point": self.rows[ChargePoint].identity,
            "session": self.rows[Transaction].pk,
            "id_tag": self.rows[IdTag].id_tag,
            "command": self.rows[Command].pk,
            "bulk": self.rows[BulkCommand].pk,
        }

    def api(self, scopes: Any = SCOPES) -> Api:
        return Api(self.rows[Organization], scopes, RESOURCES)

    def use(self, use: Use, api: Api, named: Any = None, query: str = "", **headers: str) -> Any:
        path = use.path.format(**named or self.named) + query
        if use.body is None:
            return api.client.generic(use.method, RESOURCES + path, headers=api.headers(headers))
        return api.send(use.method, path, use.body, **headers)

    def state(self) -> Any:
        """What must stay as it is."""
        return [list(model.objects.filter(pk=self.rows[model].pk).values()) for model in (ChargePoint, Command, IdTag)]


filled = made_once(lambda: fill("ALPHA"))


@pytest.fixture
def alpha(db: None, filled: Callable[[], Any]) -> World:
    return World(filled())


def text_of(response: Any) -> str:
    """What was answered; files are read where a real server makes them."""
    return "" if response.streaming else response.content.decode()


def test_every_resource_of_charge_points_is_tried() -> None:
    ours = {route.name for route in resources if route.callback.view_class.__module__.startswith("chargepoints.")}
    assert ours <= {use.name for use in USES}
    assert ours


@every_use
def test_serves_who_has_the_scope_alone(use: Use, alpha: World) -> None:
    response = alpha.use(use, alpha.api([use.scope]))
    assert response.status_code == use.status, text_of(response)


@every_use
def test_refuses_who_has_every_other_scope(use: Use, alpha: World) -> None:
    before = alpha.state()
    response = alpha.use(use, alpha.api([scope for scope in SCOPES if scope != use.scope]))
    assert error_of(response, 403, "forbidden")["details"] == {"required_scope": use.scope}
    assert alpha.state() == before


@every_use
def test_refuses_who_has_no_key(use: Use, alpha: World) -> None:
    error_of(alpha.use(use, alpha.api(), Authorization="Bearer none"), 401, "unauthorized")


@every_use
def test_shows_and_touches_nothing_of_another_organization(use: Use, alpha: World) -> None:
    fill("BETA")
    before = alpha.state()
    response = alpha.use(use, make_api("BETA Energy", root=RESOURCES))
    if use.is_of_one:
        error_of(response, 404, "not_found")
    else:
        assert response.status_code == use.status
        assert "ALPHA" not in text_of(response)
    assert alpha.state() == before


@every_use_of_one
def test_tells_another_organizations_like_what_does_not_exist(use: Use, alpha: World) -> None:
    stranger = make_api("Other", root=RESOURCES)
    assert alpha.use(use, stranger).content == alpha.use(use, stranger, NOWHERE).content


@every_use
@pytest.mark.parametrize("query", ["?nonsense=1", "?%00=", "?page=1&nonsense"])
def test_refuses_a_parameter_that_it_does_not_know(use: Use, alpha: World, query: str) -> None:
    error = error_of(alpha.use(use, alpha.api(), query=query), 400, "validation_error")
    assert ["Unknown parameter."] in error["details"].values()


@every_use
def test_takes_no_other_method(use: Use, alpha: World) -> None:
    taken = {other.method for other in USES if other.path == use.path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - taken:
        refused = alpha.use(use._replace(method=method, body={}), alpha.api(), query="?nonsense=1")
        error_of(refused, 405, "method_not_allowed")


OF_ALL = ("id_tag", "id_tags", "id_tags_bulk")
OURS = [use for use in USES if "/commands" not in use.path and not use.name.startswith("bulk")]


@every(OURS)
def test_shows_and_touches_only_the_charge_points_that_a_key_is_limited_to(use: Use, alpha: World) -> None:
    api, before = alpha.api(), alpha.state()
    ApiKey.objects.filter(pk=api.row.pk).update(allowed_charge_points=["ANOTHER"])
    response = alpha.use(use, api)
    if use.name in OF_ALL or use.body == {"charge_point_id": "NEW"}:
        details = error_of(response, 403, "forbidden")["details"]
        assert details == {"allowed_charge_points": ["ANOTHER"]}
    elif use.is_of_one:
        error_of(response, 404, "not_found")
    else:
        assert response.status_code == use.status
        assert "ALPHA" not in text_of(response)
    assert alpha.state() == before
    assert not ChargePoint.objects.filter(identity="NEW").exists()


@every([use for use in OURS if use.name not in OF_ALL and use.body != {"charge_point_id": "NEW"}])
def test_serves_a_key_that_is_limited_to_the_charge_point(use: Use, alpha: World) -> None:
    api = alpha.api([use.scope])
    ApiKey.objects.filter(pk=api.row.pk).update(allowed_charge_points=["ALPHA-CP"])
    assert alpha.use(use, api).status_code == use.status


def test_lets_a_limited_key_register_what_it_is_limited_to(alpha: World) -> None:
    api = alpha.api(["write:charge_points"])
    ApiKey.objects.filter(pk=api.row.pk).update(allowed_charge_points=["NEW"])
    assert api.post("charge-points", {"charge_point_id": "NEW"}).status_code == 201
