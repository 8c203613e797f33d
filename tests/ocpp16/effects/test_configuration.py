"""Configuration keys, as charge points tell them and let them be changed."""

from __future__ import annotations

from typing import Any

import pytest

from chargepoints.models import ConfigurationKey

PASSWORD = "an authorization key"


def known() -> dict[str, tuple[Any, Any, bool]]:
    rows = ConfigurationKey.objects.all()
    return {row.key: (row.value, row.value_after_reboot, row.readonly) for row in rows}


async def get(command: Any, *told: Any, unknown: Any = ()) -> Any:
    answer = {"configurationKey": [{"readonly": False, **item} for item in told], "unknownKey": list(unknown)}
    return await command("send_command", answer, command="GetConfiguration", payload={})


async def change(command: Any, answer: str, key: str, value: str) -> Any:
    return await command("send_command", answer, command="ChangeConfiguration", payload={"key": key, "value": value})


async def test_keeps_what_a_charge_point_tells(command: Any, row: Any) -> None:
    await get(command, {"key": "HeartbeatInterval", "value": "30"}, {"key": "Serial", "readonly": True})
    assert known() == {"HeartbeatInterval": ("30", None, False), "Serial": (None, None, True)}
    assert ConfigurationKey.objects.first().charge_point == row


async def test_keeps_the_newest_of_each_key_and_what_was_told_before(command: Any) -> None:
    await get(command, {"key": "HeartbeatInterval", "value": "30"}, {"key": "Other", "value": "x"})
    before = {row.key: row.as_of for row in ConfigurationKey.objects.all()}
    await get(command, {"key": "HEARTBEATINTERVAL", "value": "60"})
    assert known() == {"HEARTBEATINTERVAL": ("60", None, False), "Other": ("x", None, False)}
    after = {row.key: row.as_of for row in ConfigurationKey.objects.all()}
    assert after["HEARTBEATINTERVAL"] > before["HeartbeatInterval"]
    assert after["Other"] == before["Other"]


async def test_forgets_a_key_that_there_is_not(command: Any) -> None:
    await get(command, {"key": "Old", "value": "1"}, {"key": "Kept", "value": "2"})
    await get(command, unknown=["OLD", "Never"])
    assert known() == {"Kept": ("2", None, False)}


async def test_keeps_one_of_a_key_that_is_told_twice(command: Any) -> None:
    await get(command, {"key": "Twice", "value": "1"}, {"key": "twice", "value": "2"})
    assert known() == {"twice": ("2", None, False)}


@pytest.mark.parametrize(("value", "kept"), [(30, "30"), (True, "true"), (None, None), ("", ""), ("ü\x00", "ü")])
async def test_keeps_values_that_are_no_text(command: Any, value: Any, kept: str | None) -> None:
    await get(command, {"key": "Odd", "value": value})
    assert known() == {"Odd": (kept, None, False)}


async def test_keeps_an_accepted_change(command: Any) -> None:
    await get(command, {"key": "HeartbeatInterval", "value": "30"})
    await change(command, "Accepted", "heartbeatinterval", "60")
    assert known() == {"HeartbeatInterval": ("60", None, False)}
    await change(command, "Accepted", "New", "1")
    assert known()["New"] == ("1", None, False)


@pytest.mark.parametrize("answer", ["Rejected", "NotSupported"])
async def test_keeps_no_other_change(command: Any, answer: str) -> None:
    await get(command, {"key": "HeartbeatInterval", "value": "30"})
    await change(command, answer, "HeartbeatInterval", "60")
    assert known() == {"HeartbeatInterval": ("30", None, False)}


async def test_keeps_what_comes_with_the_next_reboot_apart(command: Any) -> None:
    await get(command, {"key": "WebSocketPingInterval", "value": "20"})
    await change(command, "RebootRequired", "WebSocketPingInterval", "60")
    assert known() == {"WebSocketPingInterval": ("20", "60", False)}
    await get(command, {"key": "WebSocketPingInterval", "value": "20"})
    assert known() == {"WebSocketPingInterval": ("20", "60", False)}
    await get(command, {"key": "WebSocketPingInterval", "value": "60"})
    assert known() == {"WebSocketPingInterval": ("60", None, False)}


async def test_holds_no_password(command: Any) -> None:
    await change(command, "Accepted", "AuthorizationKey", PASSWORD)
    assert known() == {"AuthorizationKey": ("***", None, False)}
    await get(command, {"key": "AuthorizationKey", "value": PASSWORD})
    assert known() == {"AuthorizationKey": ("***", None, False)}


async def test_answers_the_caller_whatever_cannot_be_kept(command: Any) -> None:
    response = await get(command, {"key": "k" * 400, "value": "v" * 10_000})
    assert response.status_code == 200
    assert known() == {"k" * 255: ("v" * 10_000, None, False)}
