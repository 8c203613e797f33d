"""What was measured in a session, as series and in a file."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest

from chargepoints.api import meter_values
from chargepoints.models import ChargePoint, MeterValue
from tests.api import RESOURCES, Api, error_of, make_api, make_charge_point
from tests.chargepoints.api.test_sessions import BEGAN, fetch, rows_of, start


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


@pytest.fixture
def session(api: Api) -> int:
    return start(make_charge_point(api.organization, "CP-1"))


def measure(session: int, seconds: int, samples: Any) -> None:
    MeterValue.objects.create(
        charge_point=ChargePoint.objects.get(transactions=session),
        transaction_id=session,
        connector_id=1,
        timestamp=BEGAN + timedelta(seconds=seconds),
        sampled_values=samples,
        fingerprint=uuid.uuid4(),
    )


def read(api: Api, session: int, **query: Any) -> Any:
    response = api.get(f"/sessions/{session}/meter-values", query)
    assert response.status_code == 200, response.content
    return response.json()


def test_tells_each_reading_of_a_short_session(api: Api, session: int) -> None:
    measure(session, 60, [{"value": "10750", "context": "Sample.Periodic"}])
    measure(
        session, 0, [{"value": "10500.5", "unit": "Wh"}, {"value": "16", "measurand": "Current.Import", "unit": "A"}]
    )
    current, energy = (
        {"measurand": "Current.Import", "phase": None, "location": "Outlet", "unit": "A"},
        {"measurand": "Energy.Active.Import.Register", "phase": None, "location": "Outlet", "unit": "Wh"},
    )
    points = [
        {"timestamp": f"2024-03-10T14:{minute}:00Z", "value": value, "minimum": value, "maximum": value, "readings": 1}
        for minute, value in ((45, 16), (45, 10500.5), (46, 10750))
    ]
    assert read(api, session) == {
        "transaction_id": session,
        "charge_point_id": "CP-1",
        "resolution": None,
        "series": [{**current, "points": points[:1]}, {**energy, "points": points[1:]}],
    }


def test_has_no_series_before_anything_was_measured(api: Api, session: int) -> None:
    assert read(api, session)["series"] == []
    assert read(api, session, resolution=60)["series"] == []


def test_leaves_no_more_points_than_asked_for(api: Api, session: int) -> None:
    for number in range(30):
        measure(session, 10 * number, [{"value": str(10500 + number)}])
    body = read(api, session, max_points=4)
    (series,) = body["series"]
    assert body["resolution"] == 97
    assert 2 <= len(series["points"]) <= 4
    assert series["points"][-1]["value"] == 10529
    body = read(api, session, resolution=60)
    assert (body["resolution"], len(body["series"][0]["points"])) == (60, 5)


def test_tells_the_part_that_is_asked_for(api: Api, session: int) -> None:
    for number in range(3):
        measure(session, 60 * number, [{"value": str(number)}, {"value": "1", "measurand": "Voltage", "phase": "L1"}])
    bounds = {"since": "2024-03-10T14:46:00Z", "before": "2024-03-10T14:47:00Z"}
    assert [[point["value"] for point in one["points"]] for one in read(api, session, **bounds)["series"]] == [[1], [1]]
    assert [one["measurand"] for one in read(api, session, measurand="Voltage")["series"]] == ["Voltage"]
    assert [one["measurand"] for one in read(api, session, phase="L1")["series"]] == ["Voltage"]
    assert read(api, session, phase="L9")["series"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("max_points", value) for value in ("1", "5001", "0", "-1", "abc", "", "1e3", "\x00")],
        *[("resolution", value) for value in ("0", "86401", "60s", "PT1M", "", "9" * 30)],
        *[("since", value) for value in ("2024-03-10", "now", "", "\x00", "2024-02-30T00:00:00Z")],
        *[("measurand", value) for value in ("", "\x00")],
        ("page", "1"),
    ],
)
def test_refuses_a_bad_query(api: Api, session: int, name: str, value: str) -> None:
    error = error_of(api.get(f"/sessions/{session}/meter-values", {name: value}), 400, "validation_error")
    assert list(error["details"]) == [name]


def test_asks_for_a_part_of_what_is_too_much_at_once(api: Api, session: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_values, "MAXIMUM_READINGS", 2)
    for number in range(3):
        measure(session, number, [{"value": "1"}])
    error = error_of(api.get(f"/sessions/{session}/meter-values"), 400, "validation_error")
    assert list(error["details"]) == ["since"]
    assert read(api, session, since="2024-03-10T14:45:01Z")["series"][0]["points"][0]["readings"] == 1


@pytest.mark.parametrize("samples", [{}, [], "text", [None, 7, "x", []], [{"value": {"a": 1}, "unit": ["A"]}]])
def test_survives_whatever_was_stored(api: Api, session: int, samples: Any) -> None:
    measure(session, 0, samples)
    assert read(api, session)["series"] == []


async def test_exports_every_sample_as_it_was_sent(servers: Any, organization: Any, make_key: Any) -> None:
    session = start(make_charge_point(organization, "CP-1"))
    measure(session, 60, [{"value": "10750"}, {"value": "-5.5", "measurand": "Temperature", "unit": "Celsius"}])
    measure(session, 0, [{"value": "=SIGNED", "format": "SignedData", "context": "Transaction.Begin"}, "nonsense"])
    response = await fetch(servers, make_key("read:sessions"), f"/sessions/{session}/meter-values.csv")
    first, second, third = rows_of(response)
    assert first == {
        "timestamp": "2024-03-10T14:45:00Z",
        "measurand": "Energy.Active.Import.Register",
        "phase": "",
        "location": "Outlet",
        "context": "Transaction.Begin",
        "format": "SignedData",
        "unit": "Wh",
        "value": "'=SIGNED",
    }
    assert (second["timestamp"], second["unit"], second["value"]) == ("2024-03-10T14:46:00Z", "Wh", "10750")
    assert (third["measurand"], third["unit"], third["value"]) == ("Temperature", "Celsius", "-5.5")
