"""What is refused of a charge point's CALL, and what is repaired."""

from __future__ import annotations

import copy
import json
import time
from contextlib import suppress
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp16.payloads import (
    CHARGE_POINT_ACTIONS,
    COMMAND_ACTIONS,
    TOLERATED,
    InvalidPayload,
    read_call,
)

pytestmark = pytest.mark.without_services

AT = "2026-01-01T10:00:00Z"
READING = {"timestamp": AT, "sampledValue": [{"value": "1"}]}
GOOD: dict[str, dict[str, Any]] = {
    "BootNotification": {"chargePointVendor": "V", "chargePointModel": "M"},
    "StatusNotification": {"connectorId": 1, "status": "Available", "errorCode": "NoError"},
    "StartTransaction": {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": AT},
    "StopTransaction": {"transactionId": 1, "meterStop": 0, "timestamp": AT},
    "MeterValues": {"connectorId": 1, "meterValue": [READING]},
    "Authorize": {"idTag": "T"},
    "DataTransfer": {"vendorId": "V"},
    "Heartbeat": {},
}


def code_of(action: str, payload: dict[str, Any]) -> str:
    with pytest.raises(InvalidPayload) as raised:
        read_call(action, payload)
    assert raised.value.description
    return raised.value.code


def samples_of(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return payload["meterValue"][0]["sampledValue"]


def measured(*samples: Any, **reading: Any) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": list(samples), **reading}]}


@pytest.mark.parametrize("action", GOOD)
def test_takes_a_good_call_as_it_is(action: str) -> None:
    payload = copy.deepcopy(GOOD[action])
    assert read_call(action, payload) == (GOOD[action], {})


@pytest.mark.parametrize(
    "action", ["", "heartbeat", "CustomOperation", "HeartbeatResponse", "../Heartbeat", "x" * 5000]
)
def test_does_not_implement_an_unknown_action(action: str) -> None:
    assert code_of(action, {}) == "NotImplemented"


@pytest.mark.parametrize("action", sorted(set(COMMAND_ACTIONS) - set(CHARGE_POINT_ACTIONS)))
def test_does_not_support_a_command_from_a_charge_point(action: str) -> None:
    assert code_of(action, {}) == "NotSupported"


@pytest.mark.parametrize(
    ("action", "members", "code"),
    [
        ("Heartbeat", {"extra": 1}, "FormationViolation"),
        ("Authorize", {"extra": 1}, "FormationViolation"),
        ("Authorize", {"idTag": None}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": 5}, "TypeConstraintViolation"),
        ("Authorize", {"idTag": "x" * 21}, "PropertyConstraintViolation"),
        ("Authorize", {"idTag": "a\x00"}, "PropertyConstraintViolation"),
        ("Authorize", {"idTag": "\udc00"}, "PropertyConstraintViolation"),
        ("DataTransfer", {"vendorId": float("inf")}, "TypeConstraintViolation"),
        ("DataTransfer", {"data": float("inf")}, "TypeConstraintViolation"),
        ("DataTransfer", {"data": {"a": 1}}, "TypeConstraintViolation"),
        ("FirmwareStatusNotification", {"status": "Flashing"}, "PropertyConstraintViolation"),
        ("BootNotification", {"chargePointVendor": 5}, "TypeConstraintViolation"),
        ("BootNotification", {"chargePointModel": None}, "TypeConstraintViolation"),
        ("StatusNotification", {"connectorId": "1"}, "TypeConstraintViolation"),
        ("StatusNotification", {"connectorId": True}, "TypeConstraintViolation"),
        ("StatusNotification", {"connectorId": float("inf")}, "TypeConstraintViolation"),
        ("StatusNotification", {"status": "Flying"}, "PropertyConstraintViolation"),
        ("StatusNotification", {"status": None}, "TypeConstraintViolation"),
        ("StatusNotification", {"errorCode": None}, "TypeConstraintViolation"),
        ("StartTransaction", {"connectorId": None}, "TypeConstraintViolation"),
        ("StartTransaction", {"idTag": None}, "TypeConstraintViolation"),
        ("StartTransaction", {"idTag": 12345}, "TypeConstraintViolation"),
        ("StartTransaction", {"idTag": "a\x00b"}, "PropertyConstraintViolation"),
        ("StartTransaction", {"idTag": "a\x00b\x00\x00"}, "PropertyConstraintViolation"),
        ("StartTransaction", {"idTag": "\x00\x00"}, "PropertyConstraintViolation"),
        ("StartTransaction", {"idTag": "\ud800"}, "PropertyConstraintViolation"),
        ("StartTransaction", {"connectorId": 1.5}, "TypeConstraintViolation"),
        ("StartTransaction", {"meterStart": float("inf")}, "TypeConstraintViolation"),
        ("StartTransaction", {"meterStart": {"a": []}}, "TypeConstraintViolation"),
        ("StartTransaction", {"meterStart": "1"}, "TypeConstraintViolation"),
        ("StartTransaction", {"timestamp": None}, "TypeConstraintViolation"),
        ("StopTransaction", {"transactionId": True}, "TypeConstraintViolation"),
        ("MeterValues", {"meterValue": READING}, "TypeConstraintViolation"),
        ("MeterValues", {"meterValue": None}, "TypeConstraintViolation"),
    ],
)
def test_refuses_a_bad_member(action: str, members: dict[str, Any], code: str) -> None:
    assert code_of(action, GOOD.get(action, {}) | members) == code


@pytest.mark.parametrize(
    ("action", "name"),
    [(action, name) for action, payload in GOOD.items() for name in payload],
)
def test_refuses_a_call_without_a_required_member(action: str, name: str) -> None:
    payload = {key: value for key, value in GOOD[action].items() if key != name}
    assert code_of(action, payload) == "OccurenceConstraintViolation"


def test_names_the_worst_fault_first_and_every_field() -> None:
    with pytest.raises(InvalidPayload) as raised:
        read_call("DataTransfer", {"messageId": 5, "extra": 1})
    assert raised.value.code == "FormationViolation"
    assert raised.value.details.keys() == {"vendorId", "messageId", "extra"}


@pytest.mark.parametrize(
    ("action", "members", "repaired"),
    [
        ("BootNotification", {"chargePointSerialNumber": "s" * 34}, {"chargePointSerialNumber": "s" * 25}),
        ("BootNotification", {"chargePointVendor": "v" * 50_000}, {"chargePointVendor": "v" * 20}),
        ("BootNotification", {"chargePointSerialNumber": 31415}, {"chargePointSerialNumber": "31415"}),
        ("BootNotification", {"chargePointVendor": "a\x00b"}, {"chargePointVendor": "ab"}),
        ("BootNotification", {"chargePointVendor": "\ud800b"}, {"chargePointVendor": "b"}),
        ("BootNotification", {"iccid": None, "imsi": None}, {}),
        ("BootNotification", {"meterType": ["M"]}, {}),
        ("BootNotification", {"bootReason": "PowerUp", "x": {"y": 1}}, {}),
        ("BootNotification", {"x\x00": 1}, {}),
        ("StatusNotification", {"info": "i" * 60}, {"info": "i" * 50}),
        ("StatusNotification", {"info": 5}, {"info": "5"}),
        ("StatusNotification", {"info": {"a": 1}}, {}),
        ("StatusNotification", {"timestamp": None}, {}),
        ("StatusNotification", {"errorCode": "OutOfCoffee"}, {"errorCode": "OutOfCoffee"}),
        ("StatusNotification", {"connectorId": 1.0}, {"connectorId": 1}),
        ("StartTransaction", {"idTag": "t" * 24}, {"idTag": "t" * 20}),
        ("StartTransaction", {"idTag": "T\x00\x00"}, {"idTag": "T"}),
        ("StartTransaction", {"reservationId": None}, {}),
        ("StartTransaction", {"reservationId": "none"}, {}),
        ("StartTransaction", {"meterStart": 12.0}, {"meterStart": 12}),
        ("StartTransaction", {"meterStart": 12.7}, {"meterStart": 13}),
        ("StopTransaction", {"meterStop": 0.2}, {"meterStop": 0}),
        ("StopTransaction", {"reason": None}, {}),
        ("StopTransaction", {"reason": "Whim"}, {"reason": "Whim"}),
        ("StopTransaction", {"reason": 7}, {"reason": "7"}),
        ("StopTransaction", {"idTag": None}, {}),
        ("StopTransaction", {"idTag": "T\x00\x00"}, {"idTag": "T"}),
        ("StopTransaction", {"idTag": "a\x00b"}, {}),
        ("StopTransaction", {"idTag": "\x00"}, {}),
        ("StopTransaction", {"idTag": "\ud800"}, {}),
        ("StopTransaction", {"transactionData": None}, {}),
        ("StopTransaction", {"transactionData": ""}, {}),
        ("StopTransaction", {"transactionData": [None, 5, READING]}, {"transactionData": [READING]}),
        ("StopTransaction", {"transactionData": [{"timestamp": AT}]}, {"transactionData": []}),
        ("MeterValues", {"meterValue": []}, {"meterValue": []}),
        ("MeterValues", {"transactionId": None}, {}),
    ],
)
def test_repairs_what_can_be_read(action: str, members: dict[str, Any], repaired: dict[str, Any]) -> None:
    given_payload = GOOD[action] | members
    before = copy.deepcopy(given_payload)
    payload, findings = read_call(action, given_payload)
    assert payload == GOOD[action] | repaired
    assert findings
    assert all(kind.startswith(f"{action}.") for kind in findings)
    assert given_payload == before


@pytest.mark.parametrize(
    ("sample", "repaired"),
    [
        ({"value": 230.1}, {"value": "230.1"}),
        ({"value": 5}, {"value": "5"}),
        ({"value": "1", "unit": "Furlong"}, {"value": "1", "unit": "Furlong"}),
        ({"value": "1", "measurand": "Mood"}, {"value": "1", "measurand": "Mood"}),
        ({"value": "1", "phase": "L4"}, {"value": "1", "phase": "L4"}),
        ({"value": "1", "unit": None}, {"value": "1"}),
        ({"value": "1", "vendor": {"x": 1}}, {"value": "1"}),
        ({"value": "1", "unit": ["Wh"]}, None),
        ({"value": None}, None),
        ({"value": True}, None),
        ({"value": float("inf")}, None),
        ({"value": 10**400}, {"value": str(10**400)}),
        ({"unit": "Wh"}, None),
        (None, None),
        ("5", None),
    ],
)
def test_repairs_or_drops_one_sample_and_keeps_the_others(sample: Any, repaired: Any) -> None:
    payload, findings = read_call("MeterValues", measured({"value": "0"}, sample, {"value": "2"}))
    kept = [] if repaired is None else [repaired]
    assert samples_of(payload) == [{"value": "0"}, *kept, {"value": "2"}]
    assert findings


def test_drops_several_samples_of_one_reading() -> None:
    payload, _ = read_call("MeterValues", measured(None, {"value": True}, {"value": "2"}, {}, {"value": 3}))
    assert samples_of(payload) == [{"value": "2"}, {"value": "3"}]


def test_keeps_a_reading_without_its_time() -> None:
    payload, findings = read_call("MeterValues", {"connectorId": 1, "meterValue": [{"sampledValue": [{"value": "1"}]}]})
    assert samples_of(payload) == [{"value": "1"}]
    assert findings


def test_keeps_an_empty_list_of_samples() -> None:
    assert samples_of(read_call("MeterValues", measured())[0]) == []


@pytest.mark.parametrize("unit", ["Celcius", "Celsius"])
def test_takes_both_spellings_of_a_temperature(unit: str) -> None:
    sample = {"value": "20", "measurand": "Temperature", "unit": unit}
    assert samples_of(read_call("MeterValues", measured(sample))[0]) == [sample]


def test_leaves_times_to_their_reader() -> None:
    payload = GOOD["StatusNotification"] | {"timestamp": "yesterday"}
    assert read_call("StatusNotification", payload) == (payload, {})


def test_takes_signed_values_of_any_length() -> None:
    payload, findings = read_call("MeterValues", measured({"value": "f" * 2500, "format": "SignedData"}))
    assert samples_of(payload)[0]["value"] == "f" * 2500
    assert not findings


def test_keeps_every_sample_of_a_large_message_with_a_fault_in_each() -> None:
    samples = [{"value": number, "unit": "Furlong", "vendor": None} for number in range(80_000)]
    before = time.process_time()
    payload, findings = read_call("MeterValues", measured(*samples))
    # Seventeen when every fault was an error of the validator, which has two or three for each sample.
    assert time.process_time() - before < 2
    assert samples_of(payload) == [{"value": str(number), "unit": "Furlong"} for number in range(80_000)]
    assert len(findings) == 3


def test_refuses_what_is_wrong_beside_any_number_of_readings() -> None:
    readings = measured(*[{"value": 1, "unit": "Furlong"} for _ in range(1_000)])
    assert code_of("MeterValues", readings | {"connectorId": "1"}) == "TypeConstraintViolation"


def test_names_no_more_unknown_fields_than_help() -> None:
    with pytest.raises(InvalidPayload) as raised:
        read_call("DataTransfer", {"vendorId": "V", **{f"x{number}": 1 for number in range(5_000)}})
    assert len(raised.value.details) == 200


def test_counts_a_repair_by_its_place_not_its_position() -> None:
    _, findings = read_call("MeterValues", measured({"value": 1}, {"value": 2}, {"value": 3}))
    assert list(findings) == ["MeterValues.meterValue.sampledValue.value"]


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60)
nested = st.recursive(plain, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=9), v, max_size=3))
NAMES = sorted({name for payload in GOOD.values() for name in payload} | {"transactionData", "info", "reason", "x"})


@given(st.sampled_from(sorted(TOLERATED)), st.dictionaries(st.sampled_from(NAMES), nested, max_size=4))
def test_repairs_or_refuses_anything(action: str, members: dict[str, Any]) -> None:
    try:
        payload, _ = read_call(action, GOOD[action] | members)
    except InvalidPayload:
        return
    assert GOOD[action].keys() <= payload.keys()
    assert read_call(action, payload)[0] == payload


@given(st.sampled_from(CHARGE_POINT_ACTIONS), st.dictionaries(st.text(max_size=9), nested, max_size=4))
def test_reads_or_refuses_any_payload(action: str, payload: dict[str, Any]) -> None:
    with suppress(InvalidPayload):
        assert read_call(action, payload)[0].keys() <= payload.keys()


@given(st.lists(nested, max_size=4))
def test_reads_any_list_of_readings(readings: list[Any]) -> None:
    payload, _ = read_call("MeterValues", {"connectorId": 1, "meterValue": readings})
    for reading in payload["meterValue"]:
        assert all(isinstance(sample["value"], str) for sample in reading["sampledValue"])


UNSTORABLE = set("\x00\ud800\udfff")
awkward = st.text(st.sampled_from([*sorted(UNSTORABLE), "a", "\n", "\U0001f50c"]), min_size=1, max_size=4)


def values_of(schema: dict[str, Any], definitions: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What fits a schema but for characters that no database stores."""
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    kind = schema["type"]
    if kind == "object":
        members = {name: values_of(inner, definitions) for name, inner in schema["properties"].items()}
        optional = {name: members.pop(name) for name in [*members] if name not in schema.get("required", [])}
        return st.fixed_dictionaries(members, optional=optional)
    if kind == "array":
        return st.lists(values_of(schema["items"], definitions), min_size=1, max_size=2)
    return awkward | st.sampled_from(schema.get("enum", ["a"])) if kind == "string" else st.just(1)


def characters(value: Any) -> set[str]:
    """All that are in the texts and names of a payload."""
    return set(json.dumps(value, ensure_ascii=False).replace("\\u0000", "\x00"))


@pytest.mark.parametrize("action", CHARGE_POINT_ACTIONS)
@given(st.data())
def test_returns_no_text_that_cannot_be_stored(action: str, data: st.DataObject) -> None:
    schema = json.loads((resources.files("ocpp.v16") / "schemas" / f"{action}.json").read_text("utf-8-sig"))
    given_payload = data.draw(values_of(schema, schema.get("definitions", {})))
    with suppress(InvalidPayload):
        payload, findings = read_call(action, given_payload)
        assert not characters(payload) & UNSTORABLE
        assert findings or payload == given_payload
