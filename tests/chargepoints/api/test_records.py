"""Reservations, charging profiles and configuration keys, as charge points accepted them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chargepoints.models import ChargePoint, ChargingProfile, ConfigurationKey, Reservation
from tests.api import RESOURCES, Api, error_of, make_api, make_charge_point
from tests.conftest import wind_clock

PROFILE = {
    "chargingProfileId": 101,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
}


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


@pytest.fixture
def row(api: Api) -> ChargePoint:
    return make_charge_point(api.organization, "CP-1")


def reserve(row: ChargePoint, number: int, hours: float = 1, **fields: Any) -> Reservation:
    values = {"connector_id": 1, "id_tag": "TAG", "parent_id_tag": ""} | fields
    return Reservation.objects.reserve(row, number, expires_at=timezone.now() + timedelta(hours=hours), **values)


def listed(api: Api, path: str, member: str, **query: Any) -> list[Any]:
    response = api.get(path, query)
    assert response.status_code == 200, response.content
    rows = response.json()[path.rsplit("/", 1)[-1].replace("-", "_")]
    assert response.json()["total"] == len(rows)
    return [row[member] for row in rows]


def test_tells_all_of_a_reservation(api: Api, row: ChargePoint) -> None:
    made = reserve(row, 5001, parent_id_tag="GROUP")
    Reservation.objects.update(created_at=datetime(2024, 3, 10, 15, 35, tzinfo=UTC))
    (told,) = api.get("/reservations").json()["reservations"]
    assert told == {
        "charge_point_id": "CP-1",
        "reservation_id": 5001,
        "connector_id": 1,
        "id_tag": "TAG",
        "parent_id_tag": "GROUP",
        "state": "active",
        "created_at": "2024-03-10T15:35:00Z",
        "expires_at": made.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ended_at": None,
    }


@pytest.fixture
def four(api: Api, row: ChargePoint) -> None:
    reserve(row, 1)
    reserve(row, 2, hours=-1)
    reserve(make_charge_point(api.organization, "CP-2"), 1, id_tag="Other", connector_id=2)
    reserve(row, -3)
    Reservation.objects.end(row, -3, Reservation.State.CANCELLED)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [-3, 1, 2, 1]),
        ({"charge_point_id": "CP-1"}, [-3, 2, 1]),
        ({"charge_point_id": "CP-2", "connector_id": 2}, [1]),
        ({"charge_point_id": "CP-1", "reservation_id": -3}, [-3]),
        ({"id_tag": "OTHER"}, [1]),
        ({"state": "active"}, [1, 1]),
        ({"state": "expired"}, [2]),
        ({"state": "cancelled"}, [-3]),
        ({"state": "used"}, []),
    ],
)
def test_filters_reservations(api: Api, four: None, query: dict[str, Any], expected: list[int]) -> None:
    assert listed(api, "/reservations", "reservation_id", **query) == expected


@pytest.mark.parametrize("state", ["active", "expired", "cancelled"])
def test_filters_reservations_by_the_state_that_it_tells(api: Api, four: None, state: str) -> None:
    assert set(listed(api, "/reservations", "state", state=state)) == {state}


def test_tells_all_of_a_charging_profile(api: Api, row: ChargePoint) -> None:
    ChargingProfile.objects.install(row, 1, {**PROFILE, "transactionId": 7})
    ChargingProfile.objects.update(created_at=datetime(2024, 3, 10, 15, 15, tzinfo=UTC))
    (told,) = api.get("/charging-profiles").json()["charging_profiles"]
    assert told == {
        "charge_point_id": "CP-1",
        "connector_id": 1,
        "charging_profile_id": 101,
        "purpose": "TxDefaultProfile",
        "stack_level": 0,
        "charging_profile": {**PROFILE, "transactionId": 7},
        "created_at": "2024-03-10T15:15:00Z",
        "cleared_at": None,
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [9, 101, 101]),
        ({"active": "true"}, [9, 101]),
        ({"active": "false"}, [101]),
        ({"purpose": "TxProfile"}, [9]),
        ({"charge_point_id": "CP-1", "connector_id": "2"}, [9]),
        ({"charge_point_id": "CP-1", "charging_profile_id": "101"}, [101, 101]),
        ({"charge_point_id": "NONE"}, []),
    ],
)
def test_filters_charging_profiles(api: Api, row: ChargePoint, query: dict[str, str], expected: list[int]) -> None:
    ChargingProfile.objects.install(row, 1, PROFILE)
    ChargingProfile.objects.install(row, 1, PROFILE)
    ChargingProfile.objects.install(row, 2, {**PROFILE, "chargingProfileId": 9, "chargingProfilePurpose": "TxProfile"})
    assert listed(api, "/charging-profiles", "charging_profile_id", **query) == expected


def test_tells_the_configuration_that_is_known(api: Api, row: ChargePoint) -> None:
    told = [{"key": "b", "readonly": True}, {"key": "HeartbeatInterval", "readonly": False, "value": "30"}]
    ConfigurationKey.objects.record(row, told, [])
    ConfigurationKey.objects.update(as_of=datetime(2024, 3, 10, 15, 0, tzinfo=UTC))
    rest = {"value_after_reboot": None, "as_of": "2024-03-10T15:00:00Z"}
    assert api.get("/charge-points/CP-1/configuration").json() == {
        "configuration": [
            {"key": "b", "value": None, "readonly": True, **rest},
            {"key": "HeartbeatInterval", "value": "30", "readonly": False, **rest},
        ],
        "total": 2,
        "page": 1,
        "per_page": 50,
    }
    path = "/charge-points/CP-1/configuration"
    assert listed(api, path, "value", key="HEARTBEATINTERVAL") == ["30"]
    assert listed(api, path, "value", key="Heartbeat") == []
    error_of(api.get("/charge-points/NONE/configuration"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/reservations", "state", "Active"),
        ("/reservations", "connector_id", "1"),
        ("/reservations", "reservation_id", "1"),
        ("/reservations", "reservation_id", "--1"),
        ("/reservations", "reservation_id", "-2147483649"),
        ("/reservations", "id_tag", "\x00"),
        ("/charging-profiles", "purpose", "Other"),
        ("/charging-profiles", "active", "1"),
        ("/charging-profiles", "charging_profile_id", "9"),
        ("/charging-profiles", "page", "0"),
        ("/charge-points/CP-1/configuration", "key", "\x00"),
        ("/charge-points/CP-1/configuration", "key", ""),
        ("/charge-points/NONE/configuration", "nonsense", "1"),
    ],
)
def test_refuses_a_bad_query(api: Api, row: ChargePoint, path: str, name: str, value: str) -> None:
    assert list(error_of(api.get(path, {name: value}), 400, "validation_error")["details"]) == [name]


@pytest.mark.parametrize("path", ["/reservations", "/charging-profiles"])
def test_needs_as_few_queries_for_many_as_for_one(api: Api, row: ChargePoint, path: str) -> None:
    for number in range(10):
        reserve(row, number)
        ChargingProfile.objects.install(row, number, {**PROFILE, "chargingProfileId": number})
    wind_clock()
    api.get(path)
    with CaptureQueriesContext(connection) as queries:
        assert api.get(path).json()["total"] == 10
    assert len(queries) <= 3, "one for the key and two for the page"
