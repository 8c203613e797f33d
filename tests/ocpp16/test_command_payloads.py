"""What our own CALLs must hold, and which answers to them can be read."""

from __future__ import annotations

from typing import Any

import pytest

from ocpp16.payloads import COMMAND_ACTIONS, InvalidPayload, fits_response, in_order, validate_command

pytestmark = pytest.mark.without_services


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Reset", {"type": "Soft"}),
        ("ClearCache", {}),
        ("GetConfiguration", {}),
        ("SendLocalList", {"listVersion": 1, "updateType": "Full", "localAuthorizationList": [{"idTag": "T"}]}),
        ("GetLog", {"log": {"remoteLocation": "ftp://h/"}, "logType": "SecurityLog", "requestId": 1}),
    ],
)
def test_validates_a_command(action: str, payload: dict[str, Any]) -> None:
    validate_command(action, payload)


@pytest.mark.parametrize(
    ("action", "payload", "code", "field"),
    [
        ("Reset", {}, "OccurenceConstraintViolation", "type"),
        ("Reset", {"type": "Gentle"}, "PropertyConstraintViolation", "type"),
        ("Reset", {"type": 1}, "TypeConstraintViolation", "type"),
        ("Reset", {"type": "Soft", "now": True}, "FormationViolation", "now"),
        ("UnlockConnector", {"connectorId": "1"}, "TypeConstraintViolation", "connectorId"),
        ("UnlockConnector", {"connectorId": True}, "TypeConstraintViolation", "connectorId"),
        ("ReserveNow", {"expiryDate": "soon"}, "OccurenceConstraintViolation", "expiryDate"),
        (
            "SendLocalList",
            {"localAuthorizationList": [{}]},
            "OccurenceConstraintViolation",
            "localAuthorizationList[0].idTag",
        ),
    ],
)
def test_names_the_fields_of_an_invalid_command(action: str, payload: Any, code: str, field: str) -> None:
    with pytest.raises(InvalidPayload) as raised:
        validate_command(action, payload)
    assert raised.value.code == code
    assert raised.value.details[field]


@pytest.mark.parametrize("text", ["a\x00", "\ud800", "a\udfff"])
def test_sends_no_text_that_cannot_be_stored(text: str) -> None:
    for payload in ({"key": text, "value": ""}, {"key": "k", "value": text}, {"key": "k", "value": "v", text: 1}):
        with pytest.raises(InvalidPayload, match="NUL"):
            validate_command("ChangeConfiguration", payload)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Reset", {"status": "Accepted"}),
        ("Reset", {"status": "Rejected", "vendor": 1}),
        ("DataTransfer", {"status": "Accepted", "data": "x" * 5000}),
        ("GetConfiguration", {}),
        ("GetConfiguration", {"configurationKey": [{"key": "K", "readonly": False, "value": 5}]}),
        ("GetConfiguration", {"configurationKey": [{"key": "K", "readonly": False, "value": "x" * 900}]}),
        ("GetConfiguration", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False}]}),
        ("GetConfiguration", {"unknownKey": ["k" * 60]}),
        ("GetCompositeSchedule", {"status": "Rejected"}),
    ],
)
def test_reads_an_answer_that_takes_harmless_liberties(action: str, payload: Any) -> None:
    assert fits_response(action, payload)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("Reset", None),
        ("Reset", []),
        ("Reset", "Accepted"),
        ("Reset", {}),
        ("Reset", {"status": "Perhaps"}),
        ("Reset", {"status": 1}),
        ("GetConfiguration", {"configurationKey": {"key": "K"}}),
        ("GetConfiguration", {"configurationKey": [{"key": "K", "readonly": "no"}]}),
        ("GetCompositeSchedule", {"status": "Accepted", "connectorId": "1"}),
    ],
)
def test_does_not_read_an_answer_of_another_shape(action: str, payload: Any) -> None:
    assert not fits_response(action, payload)


@pytest.mark.parametrize("action", COMMAND_ACTIONS)
def test_knows_the_schemas_of_every_command(action: str) -> None:
    assert isinstance(in_order(action, {"vendor": 1}), dict)
    assert not fits_response(action, [])


def test_orders_members_as_the_specification_does() -> None:
    period = {"limit": 16, "startPeriod": 0}
    schedule = {"chargingSchedulePeriod": [period], "chargingRateUnit": "A"}
    profile = {"chargingSchedule": schedule, "stackLevel": 0, "chargingProfileId": 1}
    payload = in_order(
        "RemoteStartTransaction", {"vendor": 1, "chargingProfile": profile, "idTag": "T", "connectorId": 1}
    )
    assert list(payload) == ["connectorId", "idTag", "chargingProfile", "vendor"]
    assert list(payload["chargingProfile"]) == ["chargingProfileId", "stackLevel", "chargingSchedule"]
    assert list(payload["chargingProfile"]["chargingSchedule"]) == ["chargingRateUnit", "chargingSchedulePeriod"]
    assert list(payload["chargingProfile"]["chargingSchedule"]["chargingSchedulePeriod"][0]) == ["startPeriod", "limit"]
