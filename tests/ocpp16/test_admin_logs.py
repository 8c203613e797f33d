"""The logs in the admin, whatever a charge point has sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from apikeys.admin.display import indented, pretty_frame, printable
from chargepoints.admin.readings import table
from chargepoints.models import MeterValue
from ocpp16.models import Command, Message
from tests.world import HOSTILE, superuser

DEEP = 100_000


@pytest.fixture
def user(db: None) -> User:
    return superuser()


@pytest.fixture
def as_superuser(user: User, client: Client) -> Client:
    client.force_login(user)
    return client


def page_of(row: Any) -> str:
    return reverse(f"admin:ocpp16_{row._meta.model_name}_change", args=[row.pk])


def test_shows_a_frame_as_indented_json(as_superuser: Client, make_charge_point: Any) -> None:
    frame = '[2,"m1","Heartbeat",{"a":"b"}]'
    message = Message.objects.create(charge_point=make_charge_point(), direction="in", kind=2, frame=frame)
    assert escape('{\n    "a": "b"\n  }') in as_superuser.get(page_of(message)).content.decode()


@pytest.mark.parametrize(
    "frame",
    [HOSTILE, "", "[" * DEEP, "[" * 500 + "]" * 500, '"\\ud800"', "9" * 5000, "[2,", "{}", "null", "\x00"],
    ids=lambda frame: frame[:8],
)
def test_shows_any_frame(frame: str, as_superuser: Client, make_charge_point: Any) -> None:
    stored = frame.replace("\x00", "")
    message = Message.objects.create(charge_point=make_charge_point(), direction="in", kind=0, frame=stored)
    for url in (page_of(message), "/admin/ocpp16/message/"):
        response = as_superuser.get(url)
        assert response.status_code == 200
        assert HOSTILE not in response.content.decode()
    assert pretty_frame(frame)


def test_shows_what_utf8_cannot_hold() -> None:
    assert printable("a\ud800b") == "a\\ud800b"
    assert "\\ud800" in indented({"a": "\ud800"})
    readings = table([MeterValue(sampled_values=[{"value": "\ud800", "phase": "\udfff"}], timestamp=timezone.now())])
    assert str(readings.columns + readings.rows[0][2]).encode()


def test_shows_json_that_is_nested_deeply() -> None:
    value: Any = []
    for _ in range(5000):
        value = [value]
    assert "too deeply" in indented(value)


def test_shows_a_command_with_its_sender_and_its_answer(
    as_superuser: Client, user: User, make_charge_point: Any
) -> None:
    answer = {"state": Command.State.REJECTED, "response": {"status": "Rejected"}, "response_time_ms": 17}
    command = Command.objects.create(
        charge_point=make_charge_point(),
        action="Reset",
        payload={"type": "Soft"},
        user=user,
        request_id="r-1",
        **answer,
    )
    text = as_superuser.get(page_of(command)).content.decode()
    for shown in (
        user.username,
        "r-1",
        "17 ms",
        '<span class="chip chip-bad">rejected</span>',
        escape('"type": "Soft"'),
    ):
        assert shown in text
    assert f"message_id={command.pk}" in text
    listed = as_superuser.get("/admin/ocpp16/command/").content.decode()
    assert user.username in listed


def test_leads_from_a_command_to_its_frames(as_superuser: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    command = Command.objects.create(charge_point=charge_point, action="Reset", payload={})
    frames = [
        Message.objects.create(
            charge_point=charge_point, direction=way, kind=kind, message_id=str(command.pk), frame="x"
        )
        for way, kind in (("out", 2), ("in", 3))
    ]
    Message.objects.create(charge_point=charge_point, direction="in", kind=2, message_id="other", frame="x")
    query = {"charge_point": charge_point.pk, "message_id": str(command.pk)}
    response = as_superuser.get("/admin/ocpp16/message/", query)
    assert set(response.context["cl"].result_list) == set(frames)


@pytest.mark.parametrize(
    ("query", "count"), [({"action": "Reset"}, 1), ({"kind__exact": 3}, 1), ({"direction__exact": "out"}, 1), ({}, 2)]
)
def test_filters_the_message_log(query: Any, count: int, as_superuser: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    Message.objects.create(charge_point=charge_point, direction="out", kind=2, action="Reset", frame="x")
    Message.objects.create(charge_point=charge_point, direction="in", kind=3, frame="x")
    assert len(as_superuser.get("/admin/ocpp16/message/", query).context["cl"].result_list) == count


def test_cancels_commands_that_wait_and_no_others(as_superuser: Client, make_charge_point: Any) -> None:
    of_it = {"charge_point": make_charge_point(), "action": "Reset", "payload": {"type": "Soft"}}
    tomorrow = timezone.now() + timedelta(days=1)
    waiting = Command.objects.create(**of_it, expires_at=tomorrow)
    sent = Command.objects.create(**of_it, expires_at=tomorrow, state="sent")
    page = as_superuser.get("/admin/ocpp16/command/?waiting=1").content.decode()
    assert str(waiting.pk) in page
    assert str(sent.pk) not in page
    form = {"action": "cancel", "_selected_action": [str(waiting.pk), str(sent.pk)]}
    answer = as_superuser.post("/admin/ocpp16/command/", form, follow=True).content.decode()
    assert "1 cancelled. 1 did not wait any more" in answer
    assert {row.pk: row.state for row in Command.objects.all()} == {waiting.pk: "cancelled", sent.pk: "sent"}
