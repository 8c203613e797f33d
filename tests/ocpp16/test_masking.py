"""What the message log makes of a frame that names an AuthorizationKey."""

from __future__ import annotations

import json

import pytest

from ocpp16.masking import MASK, hidden, loggable

pytestmark = pytest.mark.without_services

SECRET = "00112233445566778899"
SETTING = {"key": "AuthorizationKey", "value": SECRET}


@pytest.mark.parametrize(
    "frame",
    [
        [3, "1", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": SECRET}]}],
        [3, "1", {"configurationKey": [{"value": SECRET, "key": "AUTHORIZATIONKEY"}]}],
        [4, "1", "InternalError", json.dumps(SETTING), {}],
        [4, "1", "InternalError", "", [2, "1", "ChangeConfiguration", SETTING]],
        [4, "1", "InternalError", f"AuthorizationKey {SECRET} is too short", {}],
        [2, "1", "DataTransfer", {"vendorId": "V", "data": f"authorizationkey={SECRET}"}],
        [3, "1", {"data": {"AuthorizationKey": SECRET}}],
    ],
    ids=["configuration", "other order", "text of the request", "request", "sentence", "data", "member"],
)
def test_hides_the_password(frame: list[object]) -> None:
    logged = loggable(json.dumps(frame))
    assert SECRET not in logged
    assert json.loads(logged)[:2] == frame[:2]
    assert MASK in logged


@pytest.mark.parametrize(
    "frame", [f'[3,"1",{{"key":"AuthorizationKey","value":"{SECRET}"', "[" * 100_000 + "AuthorizationKey" + SECRET]
)
def test_logs_nothing_of_what_it_cannot_read(frame: str) -> None:
    assert SECRET not in loggable(frame)


@pytest.mark.parametrize(
    "frame",
    [
        '[2, "1", "Heartbeat", {}]',
        '[2,"1","GetConfiguration",{"key":["AuthorizationKey"]}]',
        '[3,"1",{"unknownKey":["AuthorizationKey"]}]',
        '[3,"1",{"configurationKey":[{"key":"WebSocketPingInterval","value":"30"}]}]',
        "nonsense",
    ],
)
def test_leaves_other_frames_as_they_came(frame: str) -> None:
    assert loggable(frame) == frame


def test_leaves_other_values_what_they_are() -> None:
    value = {
        "key": "Key",
        "value": 1,
        "list": [None, True, 1.5, "AuthorizationKey is too short"],
        "AuthorizationKey": 1,
    }
    assert hidden(value) == value
