from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from ocpp16.commands import COMMANDS, SEEN, Endpoint
from ocpp16.models import Command
from ocpp16.serializers import CommandSerializer
from ocpp16.views import CommandView
from tests.api import Api, error_of, make_api, make_charge_point
from tests.ocpp16.reference import EXAMPLES, EXPIRY, IDENTITY

pytestmark = pytest.mark.django_db

REQUIRED = [(name, field) for name, example in EXAMPLES.items() for field in ("charge_point_id", *example.required)]


@pytest.fixture
def api() -> Api:
    api = make_api()
    make_charge_point(api.organization, IDENTITY)
    return api


def details_of(response: Any) -> dict[str, list[str]]:
    details = error_of(response, 400, "validation_error")["details"]
    assert all(texts and all(isinstance(text, str) for text in texts) for texts in details.values())
    assert not Command.objects.exists(), "nothing may be sent"
    return details


def test_covers_every_command_of_the_table() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_takes_the_reference_example(api: Api, name: str) -> None:
    # The charge point is not connected: the request was right, so that is what stops it.
    error_of(api.post(name, EXAMPLES[name].body), 422, "charge_point_offline")


@pytest.mark.parametrize(("name", "field"), REQUIRED)
def test_refuses_a_missing_field(api: Api, name: str, field: str) -> None:
    body = EXAMPLES[name].body
    del body[field]
    assert details_of(api.post(name, body)) == {field: ["This field is required."]}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("value", [None, True, 1.0, [], {"deep": 1}], ids=str)
def test_refuses_a_value_of_another_type_in_every_field(api: Api, name: str, value: Any) -> None:
    body = EXAMPLES[name].body
    for field in body:
        if field == "payload" and isinstance(value, dict):
            continue
        wrong = details_of(api.post(name, {**body, field: value}))
        assert any(path.split(".")[0] == field for path in wrong), wrong


@pytest.mark.parametrize("name", COMMANDS)
def test_refuses_a_number_for_text_and_text_for_a_number(api: Api, name: str) -> None:
    body = EXAMPLES[name].body
    for field, value in body.items():
        if isinstance(value, str | int):
            wrong = str(value) if isinstance(value, int) else 1
            assert list(details_of(api.post(name, {**body, field: wrong}))) == [field]


@pytest.mark.parametrize("name", COMMANDS)
def test_refuses_an_unknown_field(api: Api, name: str) -> None:
    body = {**EXAMPLES[name].body, "connectorId": 1, "surprise": None}
    expected = {"connectorId": ["Unknown field."], "surprise": ["Unknown field."]}
    assert details_of(api.post(name, body)) == expected


def test_names_all_that_is_wrong_at_once(api: Api) -> None:
    body = {"charge_point_id": IDENTITY, "connector_id": 0, "id_tag": "x" * 21, "extra": 1}
    assert set(details_of(api.post("reserve_now", body))) == {
        "connector_id",
        "id_tag",
        "extra",
        "expiry_date",
        "reservation_id",
    }


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("remote_start_transaction", "connector_id", 0),
        ("remote_start_transaction", "connector_id", -1),
        ("remote_start_transaction", "connector_id", 2**31),
        ("remote_start_transaction", "connector_id", 10**400),
        ("remote_start_transaction", "id_tag", ""),
        ("remote_start_transaction", "id_tag", "x" * 21),
        ("remote_start_transaction", "id_tag", "a\x00b"),
        ("remote_start_transaction", "charge_point_id", ""),
        ("remote_start_transaction", "charging_profile", {}),
        ("remote_stop_transaction", "transaction_id", 2**31),
        ("change_availability", "connector_id", -1),
        ("change_availability", "type", "operative"),
        ("change_availability", "type", ""),
        ("set_charging_profile", "connector_id", -1),
        ("clear_charging_profile", "connector_id", -1),
        ("clear_charging_profile", "stack_level", -1),
        ("clear_charging_profile", "charging_profile_purpose", "TxProfiles"),
        ("clear_charging_profile", "id", "101"),
        ("reset", "type", "Medium"),
        ("trigger_message", "requested_message", "Reset"),
        ("trigger_message", "connector_id", -1),
        ("reserve_now", "connector_id", 0),
        ("reserve_now", "reservation_id", 2**31),
        ("reserve_now", "parent_id_tag", "x" * 21),
        ("reserve_now", "parent_id_tag", ""),
        ("reserve_now", "expiry_date", "2024-03-10T17:00:00Z"),
        ("reserve_now", "expiry_date", "2999-03-10T17:00:00"),
        ("reserve_now", "expiry_date", "2999-03-10"),
        ("reserve_now", "expiry_date", "2999-02-30T17:00:00Z"),
        ("reserve_now", "expiry_date", "2999-03-10T24:00:00Z"),
        ("reserve_now", "expiry_date", "2999-03-10T17:00:00+99:00"),
        ("reserve_now", "expiry_date", "9999-12-31T23:59:59-10:00"),
        ("reserve_now", "expiry_date", "tomorrow"),
        ("reserve_now", "expiry_date", 4102444800),
        ("send_command", "command", "Heartbeat"),
        ("send_command", "command", "getConfiguration"),
        ("send_command", "payload", []),
        ("send_command", "payload", "{}"),
    ],
)
def test_refuses_a_value_out_of_range(api: Api, name: str, field: str, value: Any) -> None:
    details = details_of(api.post(name, {**EXAMPLES[name].body, field: value}))
    assert {path.split(".")[0] for path in details} == {field}


def test_says_the_bound(api: Api) -> None:
    body = {**EXAMPLES["reserve_now"].body, "connector_id": 0}
    response = api.post("reserve_now", body)
    assert details_of(response) == {"connector_id": ["Must be at least 1."]}
    assert response.json()["error"]["message"] == "connector_id: Must be at least 1."


@pytest.mark.parametrize("message", ["MeterValues", "StatusNotification"])
def test_requires_a_connector_to_trigger_what_is_per_connector(api: Api, message: str) -> None:
    body = {"charge_point_id": IDENTITY, "requested_message": message}
    assert list(details_of(api.post("trigger_message", body))) == ["connector_id"]


def profile_with_limit(limit: float) -> dict[str, Any]:
    payload = deepcopy(EXAMPLES["set_charging_profile"].payload)
    payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] = limit
    return payload


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("trigger_message", {"requested_message": "Heartbeat", "connector_id": ...}),
        ("trigger_message", {"connector_id": 0}),
        ("change_availability", {"connector_id": 0}),
        ("remote_start_transaction", {"connector_id": ...}),
        ("remote_start_transaction", {"id_tag": "x" * 20}),
        ("clear_charging_profile", {"id": ...}),
        ("reserve_now", {"parent_id_tag": "GROUP"}),
        ("reserve_now", {"expiry_date": "2999-03-10T17:00:00.123456+02:00"}),
        ("reserve_now", {"reservation_id": -(2**31)}),
        ("send_command", {"command": "ClearCache", "payload": {}}),
        ("send_command", {"command": "SetChargingProfile", "payload": profile_with_limit(8.1)}),
        ("send_command", {"command": "SetChargingProfile", "payload": profile_with_limit(7400.1)}),
        ("send_command", {"command": "GetLog", "payload": {"logType": "SecurityLog", "requestId": 1, "log": {
            "remoteLocation": "ftp://127.0.0.1/"}}}),
    ],
)  # fmt: skip
def test_takes_what_the_reference_allows(api: Api, name: str, changes: dict[str, Any]) -> None:
    body = {field: value for field, value in (EXAMPLES[name].body | changes).items() if value is not ...}
    error_of(api.post(name, body), 422, "charge_point_offline")


def test_lists_the_commands_where_one_is_unknown(api: Api) -> None:
    body = {"charge_point_id": IDENTITY, "command": "MakeCoffee", "payload": {}}
    assert "GetConfiguration" in details_of(api.post("send_command", body))["command"][0]


@pytest.mark.parametrize(
    ("command", "payload", "path"),
    [
        ("Reset", {}, "payload.type"),
        ("Reset", {"type": "Soft", "when": "now"}, "payload.when"),
        ("ChangeConfiguration", {"key": "k" * 51, "value": "1"}, "payload.key"),
        ("GetConfiguration", {"key": [1]}, "payload.key[0]"),
        (
            "SetChargingProfile",
            profile_with_limit(8.11),
            "payload.csChargingProfiles.chargingSchedule.chargingSchedulePeriod[0].limit",
        ),
        ("UnlockConnector", {"connectorId": 1.0}, "payload.connectorId"),
        ("UnlockConnector", {"connectorId": True}, "payload.connectorId"),
        ("UnlockConnector", {"connectorId": 2**31}, "payload.connectorId"),
        ("DataTransfer", {"vendorId": "v", "data": "\ud800"}, "payload.data"),
        ("DataTransfer", {"vendorId": "v", "d\x00": 1}, "payload.d\ufffd"),
        (
            "ReserveNow",
            {"connectorId": 1, "expiryDate": "soon", "idTag": "T", "reservationId": 1},
            "payload.expiryDate",
        ),
    ],
)
def test_checks_a_raw_payload_against_its_schema(api: Api, command: str, payload: Any, path: str) -> None:
    body = {"charge_point_id": IDENTITY, "command": command, "payload": payload}
    assert path in details_of(api.post("send_command", body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"reset"',
        b'{"charge_point_id": NaN}',
        b'{"charge_point_id": Infinity}',
        b'{"type": "Soft", "type": "Hard"}',
        b'{"charge_point_id": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b'{"connector_id": ' + b"9" * 5000 + b"}",
        b'{"connector_id": 1e999}',
    ],
    ids=lambda body: body[:20].decode("latin-1"),
)
def test_refuses_a_body_that_is_no_sane_json_object(api: Api, body: bytes) -> None:
    details_of(api.post("reset", body))


@pytest.mark.parametrize("name", COMMANDS)
def test_checks_the_request_before_it_looks_for_the_charge_point(api: Api, name: str) -> None:
    details_of(api.post(name, {"charge_point_id": "NO-SUCH", "surprise": 1}))


@pytest.mark.parametrize("name", COMMANDS)
def test_does_not_know_another_organizations_charge_point(api: Api, name: str, settings: Any) -> None:
    settings.DYNAMO_API_RATE = 0  # what is left of it is not the same in two answers
    other = make_api("Other")
    make_charge_point(other.organization, "THEIRS")
    unknown = api.post(name, {**EXAMPLES[name].body, "charge_point_id": "NO-SUCH"}, X_Request_Id="same")
    theirs = api.post(name, {**EXAMPLES[name].body, "charge_point_id": "THEIRS"}, X_Request_Id="same")
    error_of(theirs, 404, "not_found")
    assert theirs.content == unknown.content
    assert dict(theirs.headers) == dict(unknown.headers)
    assert not Command.objects.exists()


@pytest.mark.parametrize("identity", [f" {IDENTITY}", IDENTITY.lower(), "x" * 1000, "ü", "a/b", "'"])
def test_finds_a_charge_point_by_its_exact_identity_only(api: Api, identity: str) -> None:
    error_of(api.post("reset", {"charge_point_id": identity, "type": "Soft"}), 404, "not_found")


@pytest.mark.parametrize("name", COMMANDS)
def test_needs_the_scope_to_write(name: str) -> None:
    scopes = ["read:charge_points", "read:sessions", "write:billing", "write:webhooks", "write:api_keys"]
    error = error_of(make_api(scopes=scopes).post(name, {}), 403, "forbidden")
    assert error["details"] == {"required_scope": "write:charge_points"}


def test_logs_a_command_that_could_not_be_sent(api: Api) -> None:
    response = api.post("reserve_now", EXAMPLES["reserve_now"].body, X_Request_Id="order-66")
    error_of(response, 422, "charge_point_offline")
    command = Command.objects.get(pk=response.headers["X-Command-Id"])
    assert (command.action, command.payload) == ("ReserveNow", EXAMPLES["reserve_now"].payload)
    assert (command.api_key, command.request_id) == (api.row, "order-66")
    assert command.payload["expiryDate"] == EXPIRY


def test_needs_a_serializer_and_a_line_for_another_command(api: Api, rf: Any) -> None:
    endpoint = Endpoint("ClearCache", CommandSerializer, SEEN, "Forget which id tags are known")
    view = async_to_sync(CommandView.as_view(endpoint=endpoint))
    body = json.dumps({"charge_point_id": IDENTITY})
    response = view(rf.post("/", body, content_type="application/json", headers=api.headers({})))
    assert response.data["error"]["code"] == "charge_point_offline"
    command = Command.objects.get()
    assert (command.action, command.payload) == ("ClearCache", {})
