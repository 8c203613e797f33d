"""Sessions as resources: lists, filters, one of them, and all of them in a file."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chargepoints.api.pages import FirstPages
from chargepoints.csv_files import CHUNK
from chargepoints.models import ChargePoint, Latest, Transaction
from tests.api import RESOURCES, Api, error_of, make_api, make_charge_point
from tests.conftest import wind_clock

BEGAN = datetime(2024, 3, 10, 14, 45, tzinfo=UTC)


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


@pytest.fixture
def charge_point(api: Api) -> ChargePoint:
    return make_charge_point(api.organization, "CP-1")


def start(
    charge_point: ChargePoint,
    hours: float = 0,
    *,
    id_tag: str = "RFID-1",
    connector_id: int = 1,
    lasts: timedelta | None = None,
) -> int:
    """A session that began so many hours after BEGAN, and has ended if it `lasts` so long; returns its number."""
    began = BEGAN + timedelta(hours=hours)
    session, _ = Transaction.objects.start(
        charge_point,
        connector_id=connector_id,
        id_tag=id_tag,
        meter_start=10_500,
        started_at=began,
        authorization_status="Accepted",
    )
    if lasts is not None:
        session.stop(18_500, began + lasts, "EVDisconnected")
    return session.pk


def numbers(api: Api, **query: Any) -> list[int]:
    response = api.get("/sessions", query)
    assert response.status_code == 200, response.content
    return [row["transaction_id"] for row in response.json()["sessions"]]


def test_tells_all_of_a_session(api: Api, charge_point: ChargePoint) -> None:
    number = start(charge_point, connector_id=2, lasts=timedelta(seconds=4505))
    expected = {
        "transaction_id": number,
        "charge_point_id": "CP-1",
        "connector_id": 2,
        "id_tag": "RFID-1",
        "state": "stopped",
        "start_time": "2024-03-10T14:45:00Z",
        "stop_time": "2024-03-10T16:00:05Z",
        "meter_start": 10_500,
        "meter_stop": 18_500,
        "current_meter_value": 18_500,
        "energy_delivered_wh": 8_000,
        "duration_seconds": 4505,
        "stop_reason": "EVDisconnected",
        "stop_id_tag": None,
        "authorization_status": "Accepted",
        "reservation_id": None,
        "is_simulated": False,
    }
    assert list(api.get(f"/sessions/{number}").json().items()) == list(expected.items())
    assert api.get("/sessions").json() == {
        "sessions": [expected],
        "total": 1,
        "page": 1,
        "per_page": 50,
        "total_is_exact": True,
    }


@pytest.mark.parametrize("minutes", [(5, 6), (6, 5), (5, 5)], ids=["in order", "out of order", "of one moment"])
def test_tells_the_newest_of_several_readings_that_came_together(
    api: Api, charge_point: ChargePoint, minutes: tuple[int, int]
) -> None:
    number, other = start(charge_point), start(charge_point, connector_id=2)
    newest_last = sorted(zip(minutes, (11_000, 12_000), strict=True))
    readings = [Latest(number, wh, BEGAN + timedelta(minutes=minute)) for minute, wh in newest_last]
    Transaction.objects.record_latest([*reversed(readings), Latest(other, 13_000, BEGAN)])
    Transaction.objects.record_latest([Latest(number, 99_000, BEGAN + timedelta(minutes=4))])
    assert api.get(f"/sessions/{number}").json()["current_meter_value"] == newest_last[-1][1]
    assert api.get(f"/sessions/{other}").json()["current_meter_value"] == 13_000


def test_tells_what_an_active_session_has_delivered_so_far(api: Api, charge_point: ChargePoint) -> None:
    number = start(charge_point)
    Transaction.objects.record_latest([Latest(number, 11_250, BEGAN + timedelta(minutes=5))])
    body = api.get(f"/sessions/{number}").json()
    assert (body["state"], body["stop_time"], body["meter_stop"], body["stop_reason"]) == ("active", None, None, None)
    assert (body["current_meter_value"], body["energy_delivered_wh"]) == (11_250, 750)
    assert body["duration_seconds"] > 0


def test_tells_a_session_whose_end_was_inferred(api: Api, charge_point: ChargePoint) -> None:
    number = start(charge_point)
    Transaction.objects.get(pk=number).infer_stop()
    assert api.get(f"/sessions/{number}").json()["state"] == "inferred"
    assert numbers(api, active="false") == [number]


@pytest.mark.parametrize("number", ["0", "1", "9" * 30, "9" * 5000, "007"])
def test_finds_no_session_that_is_not_there(api: Api, number: str) -> None:
    for rest in ("", "/meter-values", "/meter-values.csv"):
        error_of(api.get(f"/sessions/{number}{rest}"), 404, "not_found")


@pytest.mark.parametrize("number", ["abc", "-1", "1.0", "%00", "1%2F2", "1%20", "٣x"])
def test_knows_no_address_that_is_no_number(api: Api, number: str) -> None:
    error_of(api.get(f"/sessions/{number}"), 404, "not_found")


def test_lists_the_newest_first_and_each_once(api: Api, charge_point: ChargePoint) -> None:
    started = [start(charge_point, hours=hours // 2, connector_id=1 + hours) for hours in range(7)]
    everything = numbers(api)
    assert sorted(everything) == sorted(started)
    began = dict(Transaction.objects.values_list("pk", "started_at"))
    assert everything == sorted(started, key=lambda number: (began[number], number), reverse=True)
    for per_page in range(1, 9):
        pages = [numbers(api, per_page=per_page, page=page) for page in range(1, 9)]
        assert [number for page in pages for number in page] == everything


@pytest.fixture
def five(charge_point: ChargePoint, api: Api) -> dict[str, int]:
    other = make_charge_point(api.organization, "CP-2")
    return {
        "old": start(charge_point, lasts=timedelta(hours=1)),
        "tag": start(charge_point, 2, id_tag="Other-Tag", lasts=timedelta(hours=1)),
        "long": start(other, 3, lasts=timedelta(hours=30)),
        "active": start(charge_point, 4),
        "second": start(charge_point, 5, connector_id=2),
    }


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["second", "active", "long", "tag", "old"]),
        ({"active": "true"}, ["second", "active"]),
        ({"active": "false"}, ["long", "tag", "old"]),
        ({"charge_point_id": "CP-1"}, ["second", "active", "tag", "old"]),
        ({"charge_point_id": "CP-2"}, ["long"]),
        ({"charge_point_id": "cp-2"}, []),
        ({"charge_point_id": "a/b:c"}, []),
        ({"charge_point_id": "CP-1", "connector_id": "2"}, ["second"]),
        ({"charge_point_id": "CP-1", "connector_id": "1", "active": "true"}, ["active"]),
        ({"id_tag": "OTHER-tag"}, ["tag"]),
        ({"id_tag": "Other%"}, []),
        ({"id_tag": " Other-Tag"}, []),
        ({"started_since": "2024-03-10T18:45:00Z"}, ["second", "active"]),
        ({"started_before": "2024-03-10T16:45:00Z"}, ["old"]),
        ({"started_since": "2024-03-10T17:45:00+01:00", "started_before": "2024-03-10T17:45:00Z"}, ["tag"]),
        ({"stopped_since": "2024-03-10T17:45:00Z"}, ["long", "tag"]),
        ({"stopped_since": "2024-03-10T15:45:00Z", "stopped_before": "2024-03-10T17:45:00Z"}, ["old"]),
        ({"started_since": "9999-12-31T23:59:59Z"}, []),
    ],
)
def test_filters(api: Api, five: dict[str, int], query: dict[str, str], expected: list[str]) -> None:
    names = {number: name for name, number in five.items()}
    assert [names[number] for number in numbers(api, **query)] == expected
    assert api.get("/sessions", query).json()["total"] == len(expected)


def test_leaves_out_what_was_simulated(api: Api, charge_point: ChargePoint) -> None:
    real, other = start(charge_point), make_charge_point(api.organization, "SIM")
    ChargePoint.objects.filter(pk=other.pk).update(is_simulated=True)
    simulated = start(other, 1)
    assert numbers(api) == [simulated, real]
    assert numbers(api, simulated="false") == [real]
    assert numbers(api, simulated="true") == [simulated]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connector_id", "1"),
        ("simulated", "1"),
        *[("active", value) for value in ("yes", "1", "True", "", "null", "\x00")],
        *[("connector_id", value) for value in ("-1", "1.0", " 1", "abc", "", "2147483648", "9" * 40, "\x00")],
        *[("charge_point_id", value) for value in ("", "\x00", "a\x00b", "x" * 256)],
        *[("id_tag", value) for value in ("", "\x00", "x" * 256)],
        *[("started_since", value) for value in ("yesterday", "2024-03-10", "2024-03-10T14:45:00", "", "\x00")],
        *[("started_before", value) for value in ("2024-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1e9", "0")],
        ("stopped_since", "2024-03-10T14:45:00 01:00"),
        ("stopped_before", "99999-01-01T00:00:00Z"),
        *[("page", value) for value in ("0", "-1", "abc", "9" * 19, "", "\x00")],
        *[("per_page", value) for value in ("0", "201", "1.5")],
        *[
            (name, "1")
            for name in ("limit", "offset", "transaction_id", "started_at", "id_tag__startswith", "ordering")
        ],
    ],
)
@pytest.mark.parametrize("path", ["/sessions", "/sessions.csv"])
def test_refuses_a_bad_query(api: Api, path: str, name: str, value: str) -> None:
    error = error_of(api.get(path, {name: value}), 400, "validation_error")
    assert list(error["details"]) == [name]
    assert len(error["details"][name]) == 1


def test_refuses_what_is_said_twice(api: Api) -> None:
    error = error_of(api.get("/sessions?active=true&active=false"), 400, "validation_error")
    assert error["details"] == {"active": ["Must be given once."]}


def test_tells_how_a_plus_is_written(api: Api) -> None:
    error = error_of(api.get("/sessions?started_since=2024-03-10T14:45:00+01:00"), 400, "validation_error")
    assert "%2B" in error["details"]["started_since"][0]
    assert api.get("/sessions?started_since=2024-03-10T14:45:00%2B01:00").status_code == 200


def test_counts_and_gives_no_more_than_the_first(
    api: Api, charge_point: ChargePoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FirstPages, "LIMIT", 5)
    for hours in range(5):
        start(charge_point, hours, connector_id=hours)
    body = api.get("/sessions", {"per_page": 4, "page": 2}).json()
    assert (body["total"], body["total_is_exact"], len(body["sessions"])) == (5, True, 1)
    assert numbers(api, per_page=4, page=3) == []
    start(charge_point, 6, connector_id=9)
    body = api.get("/sessions", {"per_page": 4, "page": 2}).json()
    assert (body["total"], body["total_is_exact"], len(body["sessions"])) == (5, False, 1)
    for page in (3, 10**17):
        error = error_of(api.get("/sessions", {"per_page": 4, "page": page}), 400, "validation_error")
        assert list(error["details"]) == ["page"]


def test_needs_as_few_queries_for_many_as_for_one(api: Api, charge_point: ChargePoint) -> None:
    for number in range(20):
        start(make_charge_point(api.organization, f"CP-{number}X"), number)
    wind_clock()
    numbers(api)
    with CaptureQueriesContext(connection) as queries:
        assert len(numbers(api)) == 20
    assert len(queries) <= 3, "one for the key and two for the page"


async def fetch(servers: Any, key: str, path: str, method: str = "GET") -> httpx2.Response:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30) as client:
        return await client.request(method, RESOURCES + path)


def rows_of(response: httpx2.Response) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))


async def test_exports_what_the_filters_leave(servers: Any, organization: Any, make_key: Any) -> None:
    charge_point = make_charge_point(organization, "CP-1")
    first, second = start(charge_point, id_tag="=1+1", lasts=timedelta(hours=1)), start(charge_point, 2)
    response = await fetch(servers, make_key("read:sessions"), "/sessions.csv?active=false")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="sessions-')
    (row,) = rows_of(response)
    body = (await fetch(servers, make_key("read:sessions"), f"/sessions/{first}")).json()
    assert row.pop("id_tag") == "'=1+1"
    assert body.pop("id_tag") == "=1+1"
    assert (row.pop("is_simulated"), body.pop("is_simulated")) == ("no", False)
    assert row == {name: "" if value is None else str(value) for name, value in body.items()}
    everything = rows_of(await fetch(servers, make_key("read:sessions"), "/sessions.csv"))
    assert [row["transaction_id"] for row in everything] == [str(second), str(first)]


async def test_exports_a_long_list_in_its_order(servers: Any, organization: Any, make_key: Any) -> None:
    charge_point = make_charge_point(organization, "CP-1")
    count, now = CHUNK * 2 + 1, timezone.now()
    template = Transaction(charge_point=charge_point, state="stopped", meter_start=0, meter_stop=5, stopped_at=now)
    fields = {name: getattr(template, name) for name in ("charge_point", "state", "meter_start", "meter_stop")}
    Transaction.objects.bulk_create(
        Transaction(
            **fields,
            id=number + 1,
            connector_id=1,
            id_tag="TAG",
            started_at=now - timedelta(minutes=number * 7 % count),
            stopped_at=now,
            fingerprint=f"{number:032x}",
        )
        for number in range(count)
    )
    exported = [int(row["transaction_id"]) for row in rows_of(await fetch(servers, make_key(), "/sessions.csv"))]
    assert exported == list(Transaction.objects.order_by("-started_at", "-pk").values_list("pk", flat=True))


async def test_tells_head_what_the_file_would_be(servers: Any, organization: Any, make_key: Any) -> None:
    response = await fetch(servers, make_key(), "/sessions.csv", "HEAD")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"


async def test_exports_nothing_of_another_organization(servers: Any, organization: Any, make_key: Any) -> None:
    number = start(make_charge_point(organization, "CP-1"))
    start(make_charge_point(make_api("Other").organization, "CP-2"))
    response = await fetch(servers, make_key(), "/sessions.csv")
    assert [row["transaction_id"] for row in rows_of(response)] == [str(number)]
