"""Answers as real charge points give them: odd, and passed on as they came."""

from __future__ import annotations

from typing import Any

import pytest

from ocpp16.models import Command

ANSWERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("GetConfiguration", {"key": ["A"]}, {"configurationKey": [{"key": "A", "readonly": False, "value": 30}]}),
    ("GetConfiguration", {"key": ["A"]}, {"configurationKey": [{"key": "AuthorizationKey", "readonly": False}]}),
    ("GetConfiguration", {"key": ["A"]}, {"unknownKey": ["A"]}),
    ("GetConfiguration", {}, {}),
    ("GetConfiguration", {}, {"configurationKey": [{"key": "K" * 60, "readonly": True, "value": "v" * 900}]}),
    ("GetLocalListVersion", {}, {"listVersion": -1}),
    ("GetCompositeSchedule", {"connectorId": 1, "duration": 60}, {"status": "Accepted"}),
    (
        "GetCompositeSchedule",
        {"connectorId": 1, "duration": 60},
        {
            "status": "Accepted",
            "connectorId": 1,
            "chargingSchedule": {
                "duration": 86400,
                "chargingRateUnit": "W",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": -1}],
            },
        },
    ),
    ("DataTransfer", {"vendorId": "V"}, {"status": "UnknownMessageId", "data": '{"a":1}'}),
    ("GetDiagnostics", {"location": "ftp://example.com/"}, {"fileName": "log.zip"}),
    ("UpdateFirmware", {"location": "ftp://example.com/", "retrieveDate": "2999-01-01T00:00:00Z"}, {}),
    ("ChangeConfiguration", {"key": "A", "value": "1"}, {"status": "RebootRequired", "vendorNote": "soon"}),
    ("ClearCache", {}, {"status": "Rejected"}),
]


@pytest.mark.parametrize(("action", "payload", "answer"), ANSWERS)
async def test_passes_on_what_the_charge_point_said(
    post: Any, charge_point: Any, action: str, payload: Any, answer: Any
) -> None:
    request = post("send_command", command=action, payload=payload)
    call = await charge_point.expect(action)
    assert call.payload == payload
    await call.reply(answer)
    ended = await request
    assert ended.status == 200, ended.body
    assert ended.body["response"] == answer
    assert ended.body["status"] == answer.get("status", "Accepted")
    assert isinstance(ended.body["response_time_ms"], int)
    assert Command.objects.get().response == answer


async def test_passes_on_an_answer_of_many_keys(post: Any, charge_point: Any) -> None:
    answer = {"configurationKey": [{"key": f"Key{n}", "readonly": True, "value": "x" * 400} for n in range(500)]}
    request = post("send_command", command="GetConfiguration", payload={})
    await (await charge_point.expect("GetConfiguration")).reply(answer)
    assert (await request).body["response"] == answer
