from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chargepoints.models import ChargePoint, MeterValue, Transaction
from tests.api import Api, error_of, make_api, make_charge_point
from tests.conftest import wind_clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    return make_api()


@pytest.fixture
def row(api: Api) -> ChargePoint:
    return make_charge_point(api.organization, "CP-SITE42-001")


def start(row: ChargePoint, connector_id: int = 1, started_at: datetime | None = None, **fields: Any) -> Transaction:
    started, _ = Transaction.objects.start(
        row,
        connector_id=connector_id,
        id_tag="RFID-USER-9B3E",
        meter_start=10500,
        started_at=started_at or timezone.now() - timedelta(minutes=15),
        authorization_status="Accepted",
    )
    Transaction.objects.filter(pk=started.pk).update(**fields)
    return started


def read(api: Api, identity: str = "CP-SITE42-001") -> Any:
    response = api.get(f"/active_transactions/{identity}")
    assert response.status_code == 200, response.content
    return response.json()


def test_answers_exactly_as_the_reference_shows(api: Api, row: ChargePoint) -> None:
    began = timezone.now().replace(microsecond=0) - timedelta(seconds=900)
    started = start(row, 2, began, latest_meter_value=11250, latest_meter_at=timezone.now())
    body = read(api)
    assert list(body) == ["charge_point_id", "active_transactions", "total"]
    assert body["charge_point_id"] == "CP-SITE42-001"
    assert body["total"] == 1
    (transaction,) = body["active_transactions"]
    assert transaction.pop("duration_seconds") in (900, 901, 902)
    assert list(transaction.items()) == [
        ("transaction_id", started.pk),
        ("connector_id", 2),
        ("id_tag", "RFID-USER-9B3E"),
        ("start_time", began.strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("meter_start", 10500),
        ("current_meter_value", 11250),
        ("energy_delivered_wh", 750),
    ]


def test_answers_an_empty_list_where_nobody_charges(api: Api, row: ChargePoint) -> None:
    start(row).stop(11000, timezone.now(), "Local")
    assert read(api) == {"charge_point_id": "CP-SITE42-001", "active_transactions": [], "total": 0}


def test_begins_at_the_start_reading(api: Api, row: ChargePoint) -> None:
    start(row)
    (transaction,) = read(api)["active_transactions"]
    assert transaction["current_meter_value"] == 10500
    assert transaction["energy_delivered_wh"] == 0


def test_never_delivers_or_lasts_less_than_nothing(api: Api, row: ChargePoint) -> None:
    start(row, started_at=timezone.now() + timedelta(hours=1), latest_meter_value=10400)
    (transaction,) = read(api)["active_transactions"]
    assert transaction["current_meter_value"] == 10400
    assert transaction["energy_delivered_wh"] == 0
    assert transaction["duration_seconds"] == 0


def test_lists_the_oldest_first(api: Api, row: ChargePoint) -> None:
    now = timezone.now()
    for connector_id, minutes in ((1, 10), (2, 30), (3, 20)):
        start(row, connector_id, now - timedelta(minutes=minutes))
    assert [transaction["connector_id"] for transaction in read(api)["active_transactions"]] == [2, 3, 1]


def test_holds_readings_beyond_32_bits(api: Api, row: ChargePoint) -> None:
    start(row, latest_meter_value=5_000_000_000)
    assert read(api)["active_transactions"][0]["energy_delivered_wh"] == 5_000_000_000 - 10500


def test_writes_times_to_the_second(api: Api, row: ChargePoint) -> None:
    start(row, started_at=datetime(2024, 3, 10, 14, 45, 0, 999_000, tzinfo=UTC))
    assert read(api)["active_transactions"][0]["start_time"] == "2024-03-10T14:45:00Z"


def test_finds_identities_with_characters_that_urls_escape(api: Api) -> None:
    start(make_charge_point(api.organization, "RDAM 123+ü?#%41"))
    body = read(api, "RDAM%20123+%C3%BC%3F%23%2541")
    assert (body["charge_point_id"], body["total"]) == ("RDAM 123+ü?#%41", 1)


@pytest.mark.parametrize("identity", ["UNKNOWN", "cp-site42-001", "%00", "CP-SITE42-001%0A", "%FF", "x" * 500, "..."])
def test_knows_no_other_charge_point(api: Api, row: ChargePoint, identity: str) -> None:
    error_of(api.get(f"/active_transactions/{identity}"), 404, "not_found")


def test_does_not_know_another_organizations_charge_point(api: Api) -> None:
    other = make_api("Other")
    start(make_charge_point(other.organization, "THEIRS"))
    assert read(other, "THEIRS")["total"] == 1
    unknown = api.get("/active_transactions/UNKNOWN")
    theirs = api.get("/active_transactions/THEIRS")
    error_of(theirs, 404, "not_found")
    assert theirs.content == unknown.content


def test_needs_as_few_queries_for_many_as_for_one(api: Api, row: ChargePoint) -> None:
    for connector_id in range(1, 9):
        start(row, connector_id)
    read(api)
    wind_clock()
    with CaptureQueriesContext(connection) as queries:
        assert read(api)["total"] == 8
    assert len(queries) <= 3, "the key, the charge point and its transactions"


def test_reads_no_meter_values(api: Api, row: ChargePoint) -> None:
    """There may be millions, of this charge point and of others."""
    start(row)
    with CaptureQueriesContext(connection) as queries:
        assert read(api)["total"] == 1
    statements = [query["sql"] for query in queries]
    assert any(Transaction._meta.db_table in statement for statement in statements)
    assert not any(MeterValue._meta.db_table in statement for statement in statements)
