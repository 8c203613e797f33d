"""Charge points as resources: what is known of them, as of when, and whether that may be out of date."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chargepoints.models import ChargePoint, Connector
from tests.api import RESOURCES, Api, error_of, make_api, make_charge_point
from tests.chargepoints.test_status_reads import OCPP_STATUSES, listed, make

pytestmark = pytest.mark.django_db

AT = datetime(2024, 3, 10, 15, 55, tzinfo=UTC)


@pytest.fixture
def api() -> Api:
    return make_api(root=RESOURCES)


def connect(charge_point: ChargePoint, silent_for: timedelta = timedelta()) -> None:
    """Have it online, and its newest sign of life so long ago."""
    ChargePoint.objects.filter(pk=charge_point.pk).update(
        channel_name=f"socket of {charge_point.pk}",
        online_until=timezone.now() + timedelta(minutes=1),
        last_seen_at=timezone.now() - silent_for,
    )


def read(api: Api, path: str, query: Any = None) -> Any:
    response = api.get(path, query)
    assert response.status_code == 200, response.content
    return response.json()


def test_tells_all_of_a_charge_point(api: Api) -> None:
    make(
        api,
        "CP-SITE42-001",
        "Available",
        "Charging",
        description="Car park",
        vendor="Acme",
        model="Duo",
        firmware_version="3.1.4",
        last_seen_at=AT,
        last_boot_at=AT - timedelta(hours=1),
        heartbeat_interval_override=60,
    )
    body = read(api, "/charge-points/CP-SITE42-001")
    assert body.pop("created_at").endswith("Z")
    connectors = body.pop("connectors")
    assert body == {
        "charge_point_id": "CP-SITE42-001",
        "description": "Car park",
        "is_simulated": False,
        "online": False,
        "as_of": "2024-03-10T15:55:00Z",
        "stale": True,
        "last_heartbeat_at": "2024-03-10T15:55:00Z",
        "connected_at": None,
        "disconnected_at": None,
        "last_boot_at": "2024-03-10T14:55:00Z",
        "address": None,
        "registration_status": "Accepted",
        "security_profile": 0,
        "has_password": False,
        "heartbeat_interval": 60,
        "assume_ocpp16": False,
        "send_pings": True,
        "vendor": "Acme",
        "model": "Duo",
        "firmware_version": "3.1.4",
        **dict.fromkeys(["serial_number", "charge_box_serial_number", "iccid", "imsi", "meter_type"]),
        **dict.fromkeys(["meter_serial_number", "firmware_status", "diagnostics_status"]),
        "ocpp_endpoint": "ws://testserver/ocpp16/CP-SITE42-001",
    }
    assert [connector["connector_id"] for connector in connectors] == [0, 1]
    assert connectors == read(api, "/charge-points/CP-SITE42-001/connectors")["connectors"]


def test_tells_all_of_a_connector(api: Api) -> None:
    charge_point = make(api, "CP")
    connect(charge_point)
    Connector.objects.create(
        charge_point=charge_point,
        connector_id=1,
        status="Faulted",
        error_code="GroundFailure",
        vendor_error_code="E17",
        timestamp=AT,
        scheduled_availability="Inoperative",
    )
    (connector,) = read(api, "/charge-points/CP/connectors")["connectors"]
    seen_at = ChargePoint.objects.get().last_seen_at
    assert seen_at is not None
    assert connector == {
        "connector_id": 1,
        "status": "Faulted",
        "error_code": "GroundFailure",
        "info": None,
        "vendor_id": None,
        "vendor_error_code": "E17",
        "timestamp": "2024-03-10T15:55:00Z",
        "availability": None,
        "scheduled_availability": "Inoperative",
        "as_of": seen_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "stale": False,
    }


def test_knows_nothing_of_a_connector_that_has_reported_nothing(api: Api) -> None:
    charge_point = make(api, "CP", "", "")
    connect(charge_point)
    for connector in read(api, "/charge-points/CP/connectors")["connectors"]:
        assert (connector["status"], connector["as_of"], connector["stale"]) == (None, None, True)
    assert read(api, "/charge-points/CP")["stale"] is False


@pytest.mark.parametrize(("silent_for", "is_stale"), [(0, False), (590, False), (610, True)])
def test_is_stale_once_two_heartbeats_are_missing(api: Api, silent_for: int, is_stale: bool) -> None:
    charge_point = make(api, "CP", "Available", "Charging")
    connect(charge_point, timedelta(seconds=silent_for))
    body = read(api, "/charge-points/CP")
    assert (body["online"], body["stale"]) == (True, is_stale)
    assert {connector["stale"] for connector in body["connectors"]} == {is_stale}


def test_measures_silence_by_the_interval_of_the_charge_point(api: Api) -> None:
    charge_point = make(api, "CP", heartbeat_interval_override=10)
    connect(charge_point, timedelta(seconds=30))
    assert read(api, "/charge-points/CP")["stale"] is True


def test_is_stale_while_offline_whenever_it_was_last_heard(api: Api) -> None:
    make(api, "CP", "Available", "Available", last_seen_at=timezone.now())
    body = read(api, "/charge-points/CP")
    assert (body["online"], body["stale"]) == (False, True)
    make(api, "NEW")
    body = read(api, "/charge-points/NEW")
    assert (body["as_of"], body["stale"]) == (None, True)


def test_lists_by_id_in_pages(api: Api) -> None:
    for identity in ("B", "D", "A", "C"):
        make(api, identity)
    assert listed(api.get("/charge-points")) == ["A", "B", "C", "D"]
    body = read(api, "/charge-points", {"page": 2, "per_page": 3})
    assert [row["charge_point_id"] for row in body.pop("charge_points")] == ["D"]
    assert body == {"total": 4, "page": 2, "per_page": 3}
    assert read(api, "/charge-points", {"page": "9" * 18})["charge_points"] == []


@pytest.mark.parametrize("per_page", range(1, 9))
def test_gives_each_once_and_in_order_however_large_the_pages(api: Api, per_page: int) -> None:
    identities = [f"CP-{number}" for number in range(7)]
    for identity in reversed(identities):
        make(api, identity)
    pages = [listed(api.get("/charge-points", {"per_page": per_page, "page": page})) for page in range(1, 9)]
    assert [identity for page in pages for identity in page] == identities
    assert all(len(page) <= per_page for page in pages)


@pytest.mark.parametrize("status", OCPP_STATUSES)
def test_filters_by_status_as_the_status_list_does(api: Api, status: str) -> None:
    other = "Available" if status != "Available" else "Charging"
    make(api, "A", "Available", other, status)
    make(api, "B", "Available", other)
    assert listed(api.get("/charge-points", {"status": status})) == ["A"]
    reference = make_api()
    assert listed(reference.get("/charge_points/status", {"status": status})) == ["A"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"online": "true"}, ["A-1"]),
        ({"online": "false"}, ["A-2", "B-1", "a-3"]),
        ({"vendor": "Acme"}, ["A-1", "A-2"]),
        ({"vendor": "acme"}, []),
        ({"model": "Duo"}, ["A-2", "B-1"]),
        ({"firmware_version": "1.0"}, ["A-1"]),
        ({"registration_status": "Pending"}, ["B-1"]),
        ({"starts_with": "A-"}, ["A-1", "A-2"]),
        ({"starts_with": "%"}, []),
        ({"vendor": "Acme", "model": "Duo"}, ["A-2"]),
    ],
)
def test_filters(api: Api, query: dict[str, str], expected: list[str]) -> None:
    connect(make(api, "A-1", vendor="Acme", model="Solo", firmware_version="1.0"))
    make(api, "A-2", vendor="Acme", model="Duo", firmware_version="1.0.1")
    make(api, "B-1", vendor="Bolt", model="Duo", registration_status="Pending")
    make(api, "a-3")
    response = api.get("/charge-points", query)
    assert sorted(listed(response)) == expected
    assert response.json()["total"] == len(expected)


@pytest.mark.parametrize("identity", ["CP 1", "100%", "a%2Fb", "x;y=1", "Ümläut", "é?&#", "😀", "a+b", "\\"])
def test_reads_every_identity_that_may_be_registered(api: Api, identity: str) -> None:
    make(api, identity, "Available", "Charging")
    (row,) = read(api, "/charge-points", {"starts_with": identity})["charge_points"]
    path = row["ocpp_endpoint"].removeprefix("ws://testserver/ocpp16")
    assert read(api, f"/charge-points{path}") == row
    assert read(api, f"/charge-points{path}/connectors")["total"] == 2


@pytest.mark.parametrize("identity", ["NONE", "%00", "%0A", "%FF", "..%2Fx", "a%2Fb", "x" * 5000, "%ED%A0%80", "cp"])
def test_finds_no_other(api: Api, identity: str) -> None:
    make(api, "CP")
    make(api, "a")
    error_of(api.get(f"/charge-points/{identity}"), 404, "not_found")
    error_of(api.get(f"/charge-points/{identity}/connectors"), 404, "not_found")


def test_needs_as_few_queries_for_many_as_for_one(api: Api) -> None:
    for number in range(30):
        connect(make(api, f"CP-{number}", "Faulted", "Charging", "Available"))
    read(api, "/charge-points")
    with CaptureQueriesContext(connection) as queries:
        assert len(listed(api.get("/charge-points", {"status": "Charging", "online": "true"}))) == 30
    assert len(queries) <= 4, "one for the key and three for the page"
    make_charge_point(api.organization, "ONE")
    with CaptureQueriesContext(connection) as queries:
        read(api, "/charge-points/ONE")
    assert len(queries) <= 3
