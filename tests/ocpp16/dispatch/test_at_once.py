"""Commands that begin, are sent and end in one go with others, and none of them minds another."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from django.db import IntegrityError

from apikeys.models import ApiKey
from ocpp16 import exchange
from ocpp16.beginnings import Beginning, log
from ocpp16.exchange import Exchange
from ocpp16.frames import CallError, CallResult
from ocpp16.models import Command
from ocpp16.models.command import LONGEST_TOLD
from ocpp16.models.command_queryset import Claim
from ocpp16.outcomes import Answer, complete_all
from tests.charge_point import ChargePointClient

PATH = "/api/v1/ocpp16"
BEARER = "Authorization"


async def answer_all(charge_point: ChargePointClient, **payload: Any) -> None:
    while True:
        await (await charge_point.expect("ClearCache")).reply(**payload)


async def test_each_request_gets_its_own_answer(
    api: Any, connect: Any, make_charge_point: Any, make_key: Any, other_organization: Any
) -> None:
    charge_points = [await connect() for _ in range(3)]
    obeying = [asyncio.create_task(answer_all(each, status="Accepted")) for each in charge_points]
    offline, foreign = make_charge_point(), make_charge_point(owner=other_organization)
    reader = {BEARER: f"Bearer {make_key('read:charge_points')}"}
    stranger = {BEARER: f"Bearer {make_key(owner=other_organization)}"}

    async def ask(identity: str, status: int, command: Any = "ClearCache", headers: Any = None) -> tuple[int, int]:
        body = {"charge_point_id": identity, "command": command, "payload": {}}
        response = await api.post(f"{PATH}/send_command", json=body, headers=headers)
        told = response.json().get("charge_point_id", identity)
        assert told == identity
        return response.status_code, status

    kinds = [
        *((each.identity, 200) for each in charge_points),
        (offline.identity, 422),
        (foreign.identity, 404),
        ("CP-\x00", 400),
        (charge_points[0].identity, 400, 7),
        (charge_points[0].identity, 403, "ClearCache", reader),
        (charge_points[0].identity, 404, "ClearCache", stranger),
        (charge_points[0].identity, 401, "ClearCache", {BEARER: "Bearer dyn_live_" + 40 * "x"}),
    ]
    answers = await asyncio.gather(*(ask(*kind) for kind in kinds * 3))
    for task in obeying:
        task.cancel()
    assert [got for got, _ in answers] == [wanted for _, wanted in answers]
    # Only what could be meant for one of the organization's charge points is in the log.
    assert sorted(Command.objects.values_list("state", flat=True)) == 9 * ["accepted"] + 3 * ["lost"]


@pytest.mark.django_db(transaction=True)
def test_a_charge_point_that_was_just_deleted_spoils_no_other(make_charge_point: Any) -> None:
    deleted, rows = make_charge_point(), [make_charge_point() for _ in range(2)]
    commands = [Command(charge_point=row, action="ClearCache", payload={}) for row in (rows[0], deleted, rows[1])]
    type(deleted).objects.filter(pk=deleted.pk).delete()
    beginnings = [Beginning(view=None, command=command) for command in commands]  # type: ignore[arg-type]
    log(beginnings)
    assert [type(each.failure) for each in beginnings] == [type(None), IntegrityError, type(None)]
    assert set(Command.objects.values_list("charge_point", flat=True)) == {row.pk for row in rows}


def logged(charge_point: Any, state: str = "queued", action: str = "ClearCache", **payload: Any) -> Command:
    return Command.objects.create(charge_point=charge_point, action=action, payload=payload, state=state)


@pytest.mark.django_db(transaction=True)
def test_takes_for_sending_what_is_queued_and_holds_no_secret(make_charge_point: Any) -> None:
    row = make_charge_point()
    queued, timed_out = logged(row, vendor="x"), logged(row, "timed_out")
    secret = logged(row, action="ChangeConfiguration", key="AuthorizationKey", value="0123456789abcdef")
    claims = [Claim(pk) for pk in (queued.pk, timed_out.pk, secret.pk, uuid.uuid4())]
    Command.objects.claim_all(claims)
    assert [claim.command for claim in claims] == [queued, None, None, None]
    taken = claims[0].command
    assert taken is not None
    stored = Command.objects.get(pk=queued.pk)
    assert (taken.charge_point_id, taken.action, taken.payload) == (row.pk, "ClearCache", {"vendor": "x"})
    assert (stored.state, stored.sent_at) == ("sent", taken.sent_at)
    assert list(Command.objects.exclude(pk=queued.pk).values_list("sent_at", flat=True)) == [None, None]


@pytest.mark.django_db(transaction=True)
def test_stores_answers_but_over_no_other_end(make_charge_point: Any) -> None:
    row = make_charge_point()
    commands = [logged(row, "sent"), logged(row, "sent"), logged(row, "timed_out")]
    frames = [
        CallResult("", {"status": "Rejected"}),
        CallError("", "InternalError", "no", {"a": [1]}),
        CallResult("", {}),
    ]
    claimed = [Command.objects.get(pk=command.pk) for command in commands]
    answers = [Answer(command, frame, 7) for command, frame in zip(claimed, frames, strict=True)]
    complete_all(answers)
    assert [each.is_stored for each in answers] == [True, True, False]
    names = ("state", "response", "error_code", "error_description", "error_details", "response_time_ms")
    values = {command.pk: command for command in Command.objects.all()}
    assert [[getattr(values[command.pk], name) for name in names] for command in commands] == [
        ["rejected", {"status": "Rejected"}, "", "", None, 7],
        ["call_error", None, "InternalError", "no", {"a": [1]}, 7],
        ["timed_out", None, "", "", None, None],
    ]
    assert values[commands[0].pk].ended_at is not None
    # What another process is told is what the row says.
    other = Command(pk=commands[1].pk)
    other.learn(claimed[1].tell())
    assert [getattr(other, name) for name in names] == [getattr(values[other.pk], name) for name in names]


async def test_tells_an_answer_that_is_too_long_for_an_event(charge_point: Any, api: Any) -> None:
    keys = [{"key": f"Key{number}", "readonly": True, "value": 500 * "v"} for number in range(60)]
    body = {"charge_point_id": charge_point.identity, "command": "GetConfiguration", "payload": {}}
    asking = asyncio.create_task(api.post(f"{PATH}/send_command", json=body))
    await (await charge_point.expect("GetConfiguration")).reply(configurationKey=keys)
    answer = (await asking).json()
    assert len(str(keys)) > LONGEST_TOLD
    assert answer["response"] == {"configurationKey": keys}
    assert answer["response_time_ms"] is not None


async def test_reaches_who_is_on_the_same_loop_without_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    here = Exchange.of_this_loop()
    address = await here.open(taken.put_nowait)
    monkeypatch.setattr(exchange, "get_channel_layer", lambda: None)
    await exchange.send(address, {"type": "command.state"})
    assert await asyncio.wait_for(taken.get(), 5) == {"type": "command.state", "to": address}
    here.close(address)
    await exchange.send(address, {"type": "command.state"})
    with pytest.raises(AttributeError):
        await exchange.send("ocpp16.elsewhere/1", {"type": "command.state"})
    assert taken.empty()


@pytest.mark.django_db
def test_finds_several_keys_at_once_and_each_only_by_its_whole_text(organization: Any, other_organization: Any) -> None:
    keys = [ApiKey.objects.issue(owner, "k", [])[1] for owner in (organization, other_organization)]
    wrong = keys[0][:-1] + ("x" if keys[0][-1] != "x" else "y")
    found = ApiKey.objects.find_all({*keys, wrong, "", "dyn_live_short"})
    assert {key: row.organization for key, row in found.items()} == dict(
        zip(keys, (organization, other_organization), strict=True)
    )
    assert found[keys[0]].organization.name == organization.name
    other_organization.is_active = False
    other_organization.save()
    assert set(ApiKey.objects.find_all(keys)) == {keys[0]}
