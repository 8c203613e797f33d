from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chargepoints.models import ChargePoint, Connector
from tests.api import Api, error_of, make_api, make_charge_point

pytestmark = pytest.mark.django_db

AT = datetime(2024, 3, 10, 15, 55, tzinfo=UTC)
OCPP_STATUSES = [
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]


@pytest.fixture
def api() -> Api:
    return make_api()


def make(api: Api, identity: str, *statuses: str, **fields: Any) -> ChargePoint:
    """A charge point whose connectors 0, 1, 2, ... are in these statuses; '' is a connector that said nothing."""
    charge_point = make_charge_point(api.organization, identity)
    ChargePoint.objects.filter(pk=charge_point.pk).update(**fields)
    for number, status in enumerate(statuses):
        Connector.objects.create(
            charge_point=charge_point, connector_id=number, status=status, error_code="NoError", timestamp=AT
        )
    return charge_point


def listed(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["charge_point_id"] for row in response.json()["charge_points"]]


def connectors(api: Api, **query: Any) -> list[tuple[int, str]]:
    (row,) = api.get("/charge_points/status", query).json()["charge_points"]
    return [(connector["connector_id"], connector["status"]) for connector in row["connectors"]]


def test_answers_exactly_as_the_reference_shows(api: Api) -> None:
    charge_point = make(
        api,
        "CP-SITE42-001",
        "Available",
        "Available",
        channel_name="socket",
        online_until=timezone.now() + timedelta(seconds=30),
        last_seen_at=datetime(2024, 3, 10, 15, 58, 30, 999_999, tzinfo=UTC),
    )
    Connector.objects.create(
        charge_point=charge_point,
        connector_id=2,
        status="Faulted",
        error_code="GroundFailure",
        info="Ground fault detected on connector 2",
        timestamp=AT + timedelta(minutes=2),
    )
    response = api.get("/charge_points/status", {"status": "Faulted"})
    assert response.content.decode() == (
        '{"charge_points":[{"charge_point_id":"CP-SITE42-001","online":true,'
        '"last_heartbeat_at":"2024-03-10T15:58:30Z","connectors":['
        '{"connector_id":1,"status":"Available","error_code":"NoError","info":null,'
        '"timestamp":"2024-03-10T15:55:00Z"},'
        '{"connector_id":2,"status":"Faulted","error_code":"GroundFailure",'
        '"info":"Ground fault detected on connector 2","timestamp":"2024-03-10T15:57:00Z"}]}],'
        '"total":1,"page":1,"per_page":50}'
    )


def test_answers_null_for_what_is_not_known(api: Api) -> None:
    charge_point = make(api, "NEW")
    Connector.objects.create(charge_point=charge_point, connector_id=1, status="Available", error_code="NoError")
    (row,) = api.get("/charge_points/status").json()["charge_points"]
    assert row["last_heartbeat_at"] is None
    assert row["online"] is False
    assert row["connectors"][0]["timestamp"] is None


def test_lists_a_charge_point_that_has_reported_nothing(api: Api) -> None:
    make(api, "NEW")
    assert connectors(api) == []


def test_lists_by_id(api: Api) -> None:
    for identity in ("B", "C", "A"):
        make(api, identity)
    assert listed(api.get("/charge_points/status")) == ["A", "B", "C"]


def test_lists_connectors_by_number(api: Api) -> None:
    charge_point = make(api, "A")
    for number in (10, 2, 1):
        Connector.objects.create(charge_point=charge_point, connector_id=number, status="Available")
    assert connectors(api) == [(1, "Available"), (2, "Available"), (10, "Available")]


def test_lists_the_charge_point_itself_only_while_it_has_something_to_say(api: Api) -> None:
    charge_point = make(api, "A", "Available", "Charging")
    assert connectors(api) == [(1, "Charging")]
    charge_point.connectors.filter(connector_id=0).update(status="Faulted")
    assert connectors(api) == [(0, "Faulted"), (1, "Charging")]


def test_lists_no_connector_that_has_reported_nothing(api: Api) -> None:
    make(api, "A", "", "Available", "")
    assert connectors(api) == [(1, "Available")]


@pytest.mark.parametrize("status", OCPP_STATUSES)
def test_keeps_those_with_a_connector_in_the_status_and_shows_all_of_theirs(api: Api, status: str) -> None:
    other = "Available" if status != "Available" else "Charging"
    make(api, "A", "Available", other, status, status)
    make(api, "B", "Available", other)
    make(api, "C")
    response = api.get("/charge_points/status", {"status": status})
    assert listed(response) == ["A"]
    assert response.json()["total"] == 1
    assert connectors(api, status=status) == [(1, other), (2, status), (3, status)]


def test_filters_by_listed_connectors_only(api: Api) -> None:
    make(api, "A", "Available", "Charging")
    make(api, "B", "Faulted", "Charging")
    assert listed(api.get("/charge_points/status", {"status": "Available"})) == []
    assert listed(api.get("/charge_points/status", {"status": "Faulted"})) == ["B"]


def test_is_online_while_the_lease_of_a_socket_runs(api: Api) -> None:
    now = timezone.now()
    make(api, "LIVE", channel_name="a", online_until=now + timedelta(seconds=30))
    make(api, "EXPIRED", channel_name="b", online_until=now - timedelta(seconds=1))
    make(api, "CLOSED", channel_name="", online_until=now + timedelta(seconds=30))
    make(api, "NEVER")
    rows = api.get("/charge_points/status").json()["charge_points"]
    assert [row["charge_point_id"] for row in rows if row["online"]] == ["LIVE"]


def test_shows_nothing_of_another_organization(api: Api) -> None:
    make(api, "OURS", "Available", "Charging")
    make(make_api("Other"), "THEIRS", "Available", "Charging")
    for query in ({}, {"status": "Charging"}):
        response = api.get("/charge_points/status", query)
        assert listed(response) == ["OURS"]
        assert response.json()["total"] == 1


def test_gives_pages(api: Api) -> None:
    for number in range(5):
        make(api, f"CP-{number}", "Available", "Charging" if number else "Faulted")
    first = api.get("/charge_points/status", {"per_page": "2", "status": "Charging"}).json()
    last = api.get("/charge_points/status", {"per_page": "2", "page": "2", "status": "Charging"}).json()
    assert [row["charge_point_id"] for row in first["charge_points"]] == ["CP-1", "CP-2"]
    assert [row["charge_point_id"] for row in last["charge_points"]] == ["CP-3", "CP-4"]
    assert [first[name] for name in ("total", "page", "per_page")] == [4, 1, 2]
    assert [last[name] for name in ("total", "page", "per_page")] == [4, 2, 2]


@pytest.mark.parametrize("query", [{}, {"status": "Charging"}])
@pytest.mark.parametrize("per_page", range(1, 9))
def test_gives_each_once_and_in_order_however_large_the_pages(api: Api, per_page: int, query: dict[str, str]) -> None:
    identities = [f"CP-{number}" for number in range(7)]
    for identity in reversed(identities):
        make(api, identity, "Available", "Charging", "Charging")
    pages = [
        listed(api.get("/charge_points/status", {"per_page": str(per_page), "page": str(page), **query}))
        for page in range(1, 9)
    ]
    assert [identity for page in pages for identity in page] == identities
    assert all(len(page) <= per_page for page in pages)


@pytest.mark.parametrize("page", ["2", "999", "9" * 18])
def test_gives_an_empty_page_past_the_end(api: Api, page: str) -> None:
    make(api, "A")
    body = api.get("/charge_points/status", {"page": page}).json()
    assert body == {"charge_points": [], "total": 1, "page": int(page), "per_page": 50}


def test_gives_an_empty_page_to_an_organization_without_charge_points(api: Api) -> None:
    body = api.get("/charge_points/status").json()
    assert body == {"charge_points": [], "total": 0, "page": 1, "per_page": 50}


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.0", " 1", "1e1", "", "0x1", "١", "9" * 19, "\x00"])
@pytest.mark.parametrize("name", ["page", "per_page"])
def test_refuses_a_bad_page(api: Api, name: str, value: str) -> None:
    error = error_of(api.get("/charge_points/status", {name: value}), 400, "validation_error")
    assert list(error["details"]) == [name]


def test_refuses_more_than_200_per_page(api: Api) -> None:
    assert api.get("/charge_points/status", {"per_page": "200"}).json()["per_page"] == 200
    error = error_of(api.get("/charge_points/status", {"per_page": "201"}), 400, "validation_error")
    assert error["details"] == {"per_page": ["Must be at most 200."]}


@pytest.mark.parametrize("status", ["Broken", "faulted", "", "Faulted ", "Available,Faulted", "\x00"])
def test_refuses_an_unknown_status(api: Api, status: str) -> None:
    error = error_of(api.get("/charge_points/status", {"status": status}), 400, "validation_error")
    assert list(error["details"]) == ["status"]


def test_ignores_what_else_the_query_says(api: Api) -> None:
    make(api, "A")
    assert listed(api.get("/charge_points/status", {"utm_source": "mail", "format": "xml"})) == ["A"]


def test_needs_as_few_queries_for_many_as_for_one(api: Api) -> None:
    for number in range(30):
        make(api, f"CP-{number}", "Faulted", "Charging", "Available")
    api.get("/charge_points/status")
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(api.get("/charge_points/status", {"status": "Charging"}))) == 30
    assert len(queries) <= 4, "one for the key and three for the page"
