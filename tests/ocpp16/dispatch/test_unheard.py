"""What becomes of a command when the word of its end does not come through the channel layer."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from ocpp16 import dispatch, exchange, outcomes
from ocpp16.frames import CallResult
from ocpp16.models import Command
from tests.conftest import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row(make_charge_point: Any) -> Any:
    """A charge point that is online by a channel on which nobody listens."""
    row = make_charge_point()
    row.connect("ocpp16.nobody", "127.0.0.1")
    row.refresh_from_db()
    return row


@pytest.fixture
def soon(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DYNAMO_COMMAND_TIMEOUT = 1
    monkeypatch.setattr(dispatch, "ACKNOWLEDGE_SECONDS", 0.3)


async def send(row: Any) -> Command:
    return await asyncio.to_thread(dispatch.send, row, "Reset", {"type": "Soft"})


async def test_is_lost_where_no_socket_took_it(row: Any, soon: None) -> None:
    with pytest.raises(dispatch.ChargePointOffline) as refused:
        await send(row)
    command = refused.value.command
    assert command is not None
    assert Command.objects.get(pk=command.pk).state == "lost"
    assert Command.objects.claim(command.pk) is None


async def test_is_lost_at_once_where_the_socket_has_left(row: Any) -> None:
    sending = asyncio.create_task(send(row))
    await eventually(lambda: Command.objects.unfinished().first())
    row.disconnect("ocpp16.nobody")
    with pytest.raises(dispatch.ChargePointOffline):
        await asyncio.wait_for(sending, dispatch.ACKNOWLEDGE_SECONDS / 2)


async def test_completes_late_where_a_socket_took_it_in_silence(row: Any, soon: None) -> None:
    sending = asyncio.create_task(send(row))
    pending = await eventually(lambda: Command.objects.unfinished().first())
    assert Command.objects.claim(pending.pk) is not None
    assert (await sending).state == "timed_out"
    outcomes.complete(row.pk, pending.pk, CallResult(str(pending.pk), {"status": "Accepted"}), None)
    command = Command.objects.get()
    assert (command.state, command.is_late) == ("accepted", True)


async def test_waits_for_the_answer_where_only_the_acknowledgement_was_lost(
    row: Any, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "LOOK_SECONDS", 0.05)
    looked: list[str] = []
    look = dispatch._look
    monkeypatch.setattr(dispatch, "_look", lambda *args: looked.append(look(*args)) or looked[-1])
    sending = asyncio.create_task(send(row))
    pending = await eventually(lambda: Command.objects.unfinished().first())
    Command.objects.claim(pending.pk)
    await eventually(lambda: "queued" in looked)
    outcomes.complete(row.pk, pending.pk, CallResult(str(pending.pk), {"status": "Accepted"}), 5)
    ended = await sending
    assert (ended.state, ended.is_late) == ("accepted", False)
    assert set(looked) <= {"", "queued"}


async def test_completes_late_what_was_published_though_the_layer_failed(row: Any) -> None:
    command = Command.objects.create(charge_point=row, action="Reset", payload={})
    Command.objects.claim(command.pk)
    assert dispatch.conclude(command, dispatch.Ending("unavailable")).state == "timed_out"
    outcomes.complete(row.pk, command.pk, CallResult(str(command.pk), {"status": "Accepted"}), None)
    assert Command.objects.get().state == "accepted"


async def test_ends_what_nobody_waits_for_any_more(row: Any) -> None:
    payload = {"key": "AuthorizationKey", "value": "0123456789abcdef"}
    forgotten = Command.objects.create(
        charge_point=row,
        action="ChangeConfiguration",
        payload=payload,
        created_at=timezone.now() - timedelta(hours=1),
    )
    recent = Command.objects.create(charge_point=row, action="Reset", payload={})
    Command.objects.end_forgotten()
    forgotten.refresh_from_db()
    assert (forgotten.state, forgotten.payload["value"]) == ("timed_out", "***")
    assert Command.objects.get(pk=recent.pk).state == "queued"


async def test_tells_of_an_answer_whose_word_was_lost(row: Any, soon: None) -> None:
    sending = asyncio.create_task(send(row))
    pending = await eventually(lambda: Command.objects.unfinished().first())
    Command.objects.claim(pending.pk)
    outcomes.complete(row.pk, pending.pk, CallResult(str(pending.pk), {"status": "Accepted"}), 5)
    ended = await sending
    assert (ended.state, ended.is_late, ended.response) == ("accepted", False, {"status": "Accepted"})


async def test_sends_nothing_while_the_channel_layer_is_away(
    row: Any, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        async def new_channel(self, prefix: str) -> str:
            raise ConnectionError("Connection refused")

    monkeypatch.setattr(exchange, "get_channel_layer", Away)
    with pytest.raises(dispatch.ServiceUnavailable) as refused:
        await send(row)
    assert refused.value.command is not None
    assert Command.objects.get(pk=refused.value.command.pk).sent_at is None


def test_leaves_one_end_of_two(row: Any) -> None:
    command = Command.objects.create(charge_point=row, action="Reset", payload={}, state="sent")
    assert command.end("timed_out")
    assert not Command.objects.get(pk=command.pk).end("lost")
    assert Command.objects.get().state == "timed_out"
    assert Command.objects.get().complete("accepted", response={})
    assert not Command.objects.get().complete("rejected", response={})
    assert (Command.objects.get().state, Command.objects.get().is_late) == ("accepted", True)
