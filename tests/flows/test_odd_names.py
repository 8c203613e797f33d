"""Names, values and numbers of members that no client means: told by name, quickly, and in little memory."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.exceptions import ValidationError

from dynamo.parsers import StrictJSONParser
from tests.api import Api, error_of, make_api, make_charge_point
from tests.ocpp16.reference import EXAMPLES, IDENTITY

pytestmark = pytest.mark.django_db
MEBIBYTE = 2**20


@pytest.fixture
def api() -> Api:
    api = make_api()
    make_charge_point(api.organization, IDENTITY)
    return api


def peak_of(parse: Callable[[], Any]) -> int:
    """The bytes that parsing held at most."""
    tracemalloc.start()
    try:
        parse()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def refuse(body: bytes) -> dict[str, Any]:
    with pytest.raises(ValidationError) as refusal:
        StrictJSONParser().parse(io.BytesIO(body))
    assert isinstance(refusal.value.detail, dict)
    return refusal.value.detail


LONG = "n" * 500_000
NESTED = b"[" * 30 + b"0," * 230_000 + b"0" + b"]" * 30


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({LONG: [0] * 150_000}).encode(),
        json.dumps({"n" * 40_000: [0] * 13_000}).encode(),
        b'{"a": ' + NESTED + b', "b": 1e999}',
        b'{"a": [' + b"1e999," * 150_000 + b"0]}",
        json.dumps({"a": [{"\x00": 0}] * 60_000}).encode(),
    ],
    ids=["a long name", "a shorter body", "nesting", "bad numbers", "bad names"],
)
def test_refuses_a_body_in_memory_of_its_own_size(body: bytes) -> None:
    assert len(body) < MEBIBYTE
    assert peak_of(lambda: refuse(body)) < 40 * MEBIBYTE


def test_tells_of_no_more_than_a_hundred_problems() -> None:
    problems = refuse(b'{"a": [' + b"1e999," * 5_000 + b"0]}")
    assert list(problems) == [f"a[{index}]" for index in range(100)]


def test_refuses_a_long_name(api: Api) -> None:
    response = api.post("reset", json.dumps({LONG: [0] * 150_000}).encode())
    error = error_of(response, 400, "validation_error")
    assert error["details"] == {"n" * 100: ["A name must have at most 100 characters."]}


def test_takes_a_name_of_a_hundred_characters_for_an_unknown_one(api: Api) -> None:
    error = error_of(api.post("reset", {**EXAMPLES["reset"].body, "n" * 100: 1}), 400, "validation_error")
    assert error["details"] == {"n" * 100: ["Unknown field."]}


@pytest.mark.parametrize(("name", "path"), [("", '""'), ("non_field_errors", "non_field_errors"), ("a.b", "a.b")])
def test_tells_an_unknown_member_by_its_name(name: str, path: str, api: Api) -> None:
    error = error_of(api.post("reset", {**EXAMPLES["reset"].body, name: 1}), 400, "validation_error")
    assert (error["message"], error["details"]) == (f"{path}: Unknown field.", {path: ["Unknown field."]})


@pytest.mark.parametrize(("name", "path"), [("", '""'), ("non_field_errors", "non_field_errors")])
def test_tells_an_unknown_member_of_an_inner_object_by_its_name(name: str, path: str, api: Api) -> None:
    body = EXAMPLES["set_charging_profile"].body
    profile = {**body["charging_profile"], name: 1}
    error = error_of(api.post("set_charging_profile", {**body, "charging_profile": profile}), 400, "validation_error")
    assert error["details"] == {f"charging_profile.{path}": ["Unknown field."]}


def test_tells_of_an_inner_object_that_is_none_at_its_own_path(api: Api) -> None:
    body = {**EXAMPLES["set_charging_profile"].body, "charging_profile": 1}
    error = error_of(api.post("set_charging_profile", body), 400, "validation_error")
    assert error["details"] == {"charging_profile": ["Must be an object."]}


def test_tells_a_value_that_cannot_be_stored_by_its_path(api: Api) -> None:
    error = error_of(api.post("reset", b'{"": [0, {"b": "\\u0000"}]}'), 400, "validation_error")
    assert list(error["details"]) == ['""[1].b']


def with_periods(count: int) -> bytes:
    body = EXAMPLES["set_charging_profile"].body
    schedule = {**body["charging_profile"]["chargingSchedule"], "chargingSchedulePeriod": [{}] * count}
    profile = {**body["charging_profile"], "chargingSchedule": schedule}
    return json.dumps({**body, "charging_profile": profile}, separators=(",", ":")).encode()


PERIODS = "charging_profile.chargingSchedule.chargingSchedulePeriod"


def test_tells_of_a_hundred_fields_and_no_more(api: Api) -> None:
    details = error_of(api.post("set_charging_profile", with_periods(60)), 400, "validation_error")["details"]
    assert len(details) == 100
    assert details[f"{PERIODS}[49].limit"] == ["This field is required."]


def test_refuses_more_periods_than_it_can_judge_at_once(api: Api) -> None:
    error = error_of(api.post("set_charging_profile", with_periods(240_000)), 400, "validation_error")
    assert error["details"] == {PERIODS: ["Must have at most 10080 items."]}
