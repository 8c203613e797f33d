"""Who may use the resources: each asks for its scope, and shows and touches its own organization's rows only."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from django.urls import URLPattern

from apikeys.models import Organization
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint
from dynamo.urls import resources
from tests.api import RESOURCES, Api, error_of, make_api
from tests.world import fill

READ, WRITE, SESSIONS = "read:charge_points", "write:charge_points", "read:sessions"
# The number of ALPHA's session.
NUMBER = 2**31 - 2


class Use(NamedTuple):
    """One way to use a resource: `path` may name what belongs to ALPHA."""

    name: str
    method: str
    path: str
    scope: str
    body: Any = None
    status: int = 200

    @property
    def is_of_one(self) -> bool:
        """Whether the path names something that another organization has not."""
        return "ALPHA" in self.path or str(NUMBER) in self.path


USES = [
    Use("charge_points", "GET", "/charge-points", READ),
    Use("charge_points", "POST", "/charge-points", WRITE, {"charge_point_id": "NEW"}, 201),
    Use("charge_point", "GET", "/charge-points/ALPHA-CP", READ),
    Use("charge_point", "PATCH", "/charge-points/ALPHA-CP", WRITE, {"description": "new"}),
    Use("connectors", "GET", "/charge-points/ALPHA-CP/connectors", READ),
    Use("password", "POST", "/charge-points/ALPHA-CP/password", WRITE, {}),
    Use("sessions", "GET", "/sessions", SESSIONS),
    Use("sessions_file", "GET", "/sessions.csv", SESSIONS),
    Use("session", "GET", f"/sessions/{NUMBER}", SESSIONS),
    Use("meter_values", "GET", f"/sessions/{NUMBER}/meter-values", SESSIONS),
    Use("meter_values_file", "GET", f"/sessions/{NUMBER}/meter-values.csv", SESSIONS),
]


def every(uses: list[Use]) -> Any:
    return pytest.mark.parametrize("use", uses, ids=[f"{use.method} {use.path}" for use in uses])


every_use = every(USES)
every_use_of_one = every([use for use in USES if use.is_of_one])


@pytest.fixture
def alpha(db: None, monkeypatch: pytest.MonkeyPatch) -> dict[type, Any]:
    with monkeypatch.context() as patch:
        patch.setattr("chargepoints.models.transaction.new_transaction_id", lambda: NUMBER)
        return fill("ALPHA")


def use_it(use: Use, api: Api, **headers: str) -> Any:
    if use.body is None:
        return api.client.generic(use.method, RESOURCES + use.path, headers=api.headers(headers))
    return api.send(use.method, use.path, use.body, **headers)


def api_of(world: dict[type, Any], scopes: Any = SCOPES) -> Api:
    return Api(world[Organization], scopes, RESOURCES)


def text_of(response: Any) -> str:
    """What was answered; files are read where a real server makes them."""
    return "" if response.streaming else response.content.decode()


def test_every_resource_is_tried() -> None:
    assert {use.name for use in USES} == {route.name for route in resources if isinstance(route, URLPattern)}


@every_use
def test_serves_who_has_the_scope_alone(use: Use, alpha: Any) -> None:
    response = use_it(use, api_of(alpha, [use.scope]))
    assert response.status_code == use.status, text_of(response)


@every_use
def test_refuses_who_has_every_other_scope(use: Use, alpha: Any) -> None:
    before = ChargePoint.objects.values().get()
    error = error_of(use_it(use, api_of(alpha, [scope for scope in SCOPES if scope != use.scope])), 403, "forbidden")
    assert error["details"] == {"required_scope": use.scope}
    assert ChargePoint.objects.values().get() == before


@every_use
def test_refuses_who_has_no_key(use: Use, alpha: Any) -> None:
    error_of(use_it(use, api_of(alpha), Authorization="Bearer none"), 401, "unauthorized")


@every_use
def test_shows_and_touches_nothing_of_another_organization(use: Use, alpha: Any) -> None:
    fill("BETA")
    before = ChargePoint.objects.filter(identity="ALPHA-CP").values().get()
    response = use_it(use, make_api("BETA Energy", root=RESOURCES))
    if use.is_of_one:
        error_of(response, 404, "not_found")
    else:
        assert response.status_code == use.status
        assert "ALPHA" not in text_of(response)
    assert ChargePoint.objects.filter(identity="ALPHA-CP").values().get() == before


@every_use_of_one
def test_tells_another_organizations_like_what_does_not_exist(use: Use, alpha: Any) -> None:
    stranger = make_api("Other", root=RESOURCES)
    nowhere = use._replace(path=use.path.replace("ALPHA", "NOWHERE").replace(str(NUMBER), "1"))
    assert use_it(use, stranger).content == use_it(nowhere, stranger).content


@every_use
@pytest.mark.parametrize(("query", "problem"), [("?nonsense=1", "Unknown parameter."), ("?%00=", "Unknown parameter.")])
def test_refuses_a_parameter_that_it_does_not_know(use: Use, alpha: Any, query: str, problem: str) -> None:
    error = error_of(use_it(use._replace(path=use.path + query), api_of(alpha)), 400, "validation_error")
    assert list(error["details"].values()) == [[problem]]


@every_use
def test_takes_no_other_method(use: Use, alpha: Any) -> None:
    taken = {"HEAD", "OPTIONS"} | {other.method for other in USES if other.path == use.path}
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - taken:
        response = use_it(use._replace(method=method, body={}), api_of(alpha))
        error_of(response, 405, "method_not_allowed")
