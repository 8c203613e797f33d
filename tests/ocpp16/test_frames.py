"""OCPP-J frames: what any text becomes, and that what is written can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocpp16 import frames
from ocpp16.frames import Call, CallError, CallResult, Malformed
from ocpp16.payloads import CHARGE_POINT_ACTIONS, COMMAND_ACTIONS

pytestmark = pytest.mark.without_services

storable_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
message_ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=36)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | storable_text
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(storable_text, inner), max_leaves=10)
payloads = st.dictionaries(storable_text, values, max_size=5)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def parse_or_refuse(text: str) -> Any:
    try:
        return frames.parse(text)
    except Malformed:
        return Malformed


@given(st.text(st.characters(codec=None)))
def test_parses_or_refuses_any_text(text: str) -> None:
    parse_or_refuse(text)


@given(st.lists(anything), st.booleans())
def test_parses_or_refuses_any_array(message: list[Any], ascii_only: bool) -> None:
    frame = parse_or_refuse(json.dumps(message, ensure_ascii=ascii_only))
    assert frame is None or frame is Malformed or isinstance(frame, Call | CallResult | CallError)


@given(st.sampled_from([2, 3, 4]), message_ids, st.lists(anything, max_size=4))
def test_keeps_only_what_a_database_can_store(kind: int, message_id: str, rest: list[Any]) -> None:
    frame: Any = frames.parse(json.dumps([kind, message_id, *rest]))
    if isinstance(frame, Call):
        frame.action.encode()
    else:
        kept = frame.payload if isinstance(frame, CallResult) else [frame.code, frame.description, frame.details]
        text = json.dumps(kept, ensure_ascii=False, allow_nan=False)
        assert "\\u0000" not in text.replace("\\\\", "")
        text.encode()


@given(message_ids, storable_text, payloads)
def test_reads_back_a_call(message_id: str, action: str, payload: dict[str, Any]) -> None:
    assert frames.parse(frames.call(message_id, action, payload)) == Call(message_id, action, payload)


@given(message_ids, payloads)
def test_reads_back_a_call_result(message_id: str, payload: dict[str, Any]) -> None:
    assert frames.parse(frames.call_result(message_id, payload)) == CallResult(message_id, payload)


@given(message_ids, storable_text, storable_text, payloads)
def test_reads_back_a_call_error(message_id: str, code: str, description: str, details: dict[str, Any]) -> None:
    text = frames.call_error(message_id, code, description, details)
    assert frames.parse(text) == CallError(message_id, code, description[:255], details)


def test_writes_compact_json_in_the_order_given() -> None:
    text = frames.call("1", "RemoteStartTransaction", {"connectorId": 1, "idTag": "É"})
    assert text == '[2,"1","RemoteStartTransaction",{"connectorId":1,"idTag":"É"}]'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        '"text"',
        "null",
        "{}",
        "[]",
        "[2]",
        "[2,",
        '[2,"1","Heartbeat",{}',
        '[2,"1","Heartbeat",{}] x',
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '[2,"1","Heartbeat",' + '{"a":' * 900 + "1" + "}" * 900 + "]",
        '[3,"1",' + "[" * 900 + "]" * 900 + "]",
        '[4,"1","GenericError","",' + "[" * 100 + "]" * 100 + "]",
        '[2,1,"Heartbeat",{}]',
        '[2,null,"Heartbeat",{}]',
        '[2,"","Heartbeat",{}]',
        '[2,"' + "x" * 37 + '","Heartbeat",{}]',
        '[2,"a\\u0000","Heartbeat",{}]',
        '[2,"\\ud800","Heartbeat",{}]',
        "[3,17,{}]",
        '[2,"1","Heartbeat",{"a":' + "1" * 5000 + "}]",
    ],
    ids=lambda text: text[:30] or "empty",
)
def test_refuses_what_has_no_readable_id(text: str) -> None:
    with pytest.raises(Malformed) as raised:
        frames.parse(text)
    assert raised.value.code == "FormationViolation"


@pytest.mark.parametrize("kind", [0, 1, 5, 6, -2, 2.0, "2", True, None, [], {}])
def test_ignores_other_message_types(kind: Any) -> None:
    assert frames.parse(json.dumps([kind, "1", "Heartbeat", {}])) is None


@pytest.mark.parametrize("message_id", ["1", "x" * 36, "31415926535897932384", "a b", "é" * 36, "-1"])
def test_takes_any_id_of_1_to_36_characters(message_id: str) -> None:
    assert frames.parse(json.dumps([2, message_id, "Heartbeat", {}])) == Call(message_id, "Heartbeat", {})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[2,"1"]', "FormationViolation"),
        ('[2,"1","Heartbeat"]', "FormationViolation"),
        ('[2,"1","Heartbeat",{},{}]', "FormationViolation"),
        ('[2,"1","Heartbeat",[]]', "FormationViolation"),
        ('[2,"1","Heartbeat","x"]', "FormationViolation"),
        ('[2,"1","Heartbeat",0]', "FormationViolation"),
        ('[2,"1",5,{}]', "FormationViolation"),
        ('[2,"1",null,{}]', "FormationViolation"),
        ('[2,"1","Heart\\u0000beat",{}]', "NotImplemented"),
        ('[2,"1","\\udfff",{}]', "NotImplemented"),
        ('[2,"1","DataTransfer",{"vendorId":NaN}]', "TypeConstraintViolation"),
        ('[2,"1","MeterValues",{"connectorId":Infinity}]', "TypeConstraintViolation"),
        ('[2,"1","MeterValues",{"connectorId":-Infinity}]', "TypeConstraintViolation"),
    ],
)
def test_answers_a_bad_call_by_its_id(text: str, code: str) -> None:
    call = frames.parse(text)
    assert isinstance(call, Call)
    assert call.message_id == "1"
    assert call.fault is not None
    assert call.fault.code == code


def test_takes_null_for_an_empty_payload() -> None:
    assert frames.parse('[2,"1","Heartbeat",null]') == Call("1", "Heartbeat", {})


def test_reads_spaces_between_members() -> None:
    assert frames.parse(' [ 2 , "1" ,\n"Heartbeat" , { } ] ') == Call("1", "Heartbeat", {})


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('[4,"1","GenericError","why"]', CallError("1", "GenericError", "why")),
        ('[4,"1","GenericError"]', CallError("1", "GenericError")),
        ('[4,"1"]', CallError("1", "GenericError")),
        ('[4,"1",5,null,"text"]', CallError("1", "GenericError", "", "text")),
        ('[4,"1","NotSupported","",[2,"1","Reset",{}]]', CallError("1", "NotSupported", "", [2, "1", "Reset", {}])),
        ('[4,"1","Not\\u0000Supported","a\\ud800",{}]', CallError("1", "NotSupported", "a")),
        ('[3,"1"]', CallResult("1", {})),
        ('[3,"1",null]', CallResult("1", None)),
        ('[3,"1","Accepted"]', CallResult("1", "Accepted")),
        ('[3,"1",{"status":"Accepted"},"more"]', CallResult("1", {"status": "Accepted"})),
        ('[3,"1",{"a":1e999,"b":NaN,"c":"\\u0000x"}]', CallResult("1", {"a": None, "b": None, "c": "x"})),
    ],
)
def test_reads_answers_that_take_liberties(text: str, frame: Any) -> None:
    assert frames.parse(text) == frame


def test_lists_every_action_once_and_sorted() -> None:
    assert list(COMMAND_ACTIONS) == sorted(set(COMMAND_ACTIONS))
    assert list(CHARGE_POINT_ACTIONS) == sorted(set(CHARGE_POINT_ACTIONS))
    assert len(COMMAND_ACTIONS) == 26
    assert len(CHARGE_POINT_ACTIONS) == 14
