"""The buttons of a charge point's page, over a real server and a real socket."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from chargepoints.models import ChargePoint, Transaction
from ocpp16.models import Command
from tests.conftest import Servers
from tests.world import staff

Send = Callable[..., Awaitable[str]]
MESSAGES = re.compile(r'<li class="(\w+)">(.*?)</li>')

COMMANDS = [
    (
        "remote-start",
        {"connectorId": "1", "idTag": "TAG"},
        "RemoteStartTransaction",
        {"connectorId": 1, "idTag": "TAG"},
    ),
    ("remote-start", {"connectorId": "", "idTag": "TAG"}, "RemoteStartTransaction", {"idTag": "TAG"}),
    ("unlock", {"connectorId": "1"}, "UnlockConnector", {"connectorId": 1}),
    ("reset", {"type": "Hard"}, "Reset", {"type": "Hard"}),
    (
        "availability",
        {"connectorId": "0", "type": "Inoperative"},
        "ChangeAvailability",
        {"connectorId": 0, "type": "Inoperative"},
    ),
    (
        "trigger",
        {"requestedMessage": "MeterValues", "connectorId": "1"},
        "TriggerMessage",
        {"requestedMessage": "MeterValues", "connectorId": 1},
    ),
    ("trigger", {"requestedMessage": "Heartbeat"}, "TriggerMessage", {"requestedMessage": "Heartbeat"}),
]


async def browser(servers: Servers, user: User) -> httpx2.AsyncClient:
    """An HTTP client that is logged in as `user`, with the cookies and the token of a browser."""
    login = Client()
    login.force_login(user)
    cookies = {"sessionid": login.cookies["sessionid"].value, "csrftoken": "t" * 32}
    headers = {"X-CSRFToken": "t" * 32, "X-Request-Id": "request-7"}
    return httpx2.AsyncClient(
        base_url=servers.http_url, cookies=cookies, headers=headers, timeout=30, follow_redirects=True
    )


@pytest.fixture
async def user(servers: Servers, organization: Any) -> User:
    return staff(organization)


@pytest.fixture
async def send(servers: Servers, user: User) -> AsyncIterator[Send]:
    """Submits the form of a command; returns what the person is told, with its level."""
    client = await browser(servers, user)

    async def submit(identity: str, kind: str, fields: dict[str, str]) -> str:
        row = ChargePoint.objects.get(identity=identity)
        response = await client.post(f"/admin/ocpp16/command/send/{row.pk}/{kind}/", data=fields)
        assert response.status_code == 200, response.text
        return "\n".join(f"{level}: {html.unescape(text)}" for level, text in MESSAGES.findall(response.text))

    yield submit
    await client.aclose()


@pytest.mark.parametrize(("kind", "fields", "action", "payload"), COMMANDS)
async def test_sends_what_was_filled_in(
    kind: str, fields: dict[str, str], action: str, payload: Any, send: Send, charge_point: Any, user: User
) -> None:
    told = asyncio.create_task(send(charge_point.identity, kind, fields))
    call = await charge_point.expect(action)
    assert call.payload == payload
    await call.reply(status="Unlocked" if kind == "unlock" else "Accepted")
    assert (await told).startswith("success: ")
    command = Command.objects.get(pk=call.message_id)
    assert (command.user, command.request_id, command.api_key) == (user, "request-7", None)


async def test_stops_one_of_the_active_transactions(send: Send, charge_point: Any) -> None:
    number = await charge_point.start("TAG", meter_start=0)
    told = asyncio.create_task(send(charge_point.identity, "remote-stop", {"transactionId": str(number)}))
    call = await charge_point.expect("RemoteStopTransaction")
    assert call.payload == {"transactionId": number}
    await call.reply(status="Accepted")
    assert await told == "success: Stop a transaction: the charge point accepted it."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": "Rejected"}, "warning: Change availability: the charge point rejected it."),
        (
            {"status": "Scheduled"},
            "success: Change availability: accepted; it takes effect when the running transaction ends.",
        ),
    ],
)
async def test_tells_what_the_charge_point_answered(answer: Any, expected: str, send: Send, charge_point: Any) -> None:
    told = asyncio.create_task(send(charge_point.identity, "availability", {"connectorId": "1", "type": "Operative"}))
    await (await charge_point.expect("ChangeAvailability")).reply(answer)
    assert await told == expected


async def test_tells_of_an_answer_that_is_neither_yes_nor_no(send: Send, charge_point: Any) -> None:
    told = asyncio.create_task(send(charge_point.identity, "unlock", {"connectorId": "1"}))
    await (await charge_point.expect("UnlockConnector")).reply(status="NotSupported")
    assert await told == "warning: Unlock a connector: the charge point answered NotSupported."


async def test_tells_of_a_call_error_and_escapes_it(send: Send, charge_point: Any) -> None:
    told = asyncio.create_task(send(charge_point.identity, "reset", {"type": "Soft"}))
    await (await charge_point.expect("Reset")).fail("InternalError", "<script>alert(1)</script>")
    expected = "error: Reset: the charge point answered with the error InternalError. <script>alert(1)</script>"
    assert await told == expected


async def test_tells_of_no_answer(send: Send, charge_point: Any) -> None:
    told = await send(charge_point.identity, "reset", {"type": "Soft"})
    assert told.startswith("warning: Reset: no answer in time.")


async def test_tells_of_a_connection_that_closed(send: Send, charge_point: Any) -> None:
    told = asyncio.create_task(send(charge_point.identity, "reset", {"type": "Soft"}))
    await charge_point.expect("Reset")
    await charge_point.close()
    assert await told == "error: Reset: the connection closed before the answer came."


async def test_tells_that_the_charge_point_is_offline(send: Send, make_charge_point: Any) -> None:
    told = await send(make_charge_point().identity, "reset", {"type": "Soft"})
    assert told == "error: Reset: The charge point is not connected."
    assert Command.objects.get().state == Command.State.LOST


async def test_sends_nothing_that_is_not_filled_in_rightly(servers: Servers, user: User, charge_point: Any) -> None:
    row = ChargePoint.objects.get()
    wrong = [
        ("remote-start", {"idTag": ""}),
        ("remote-start", {"idTag": "x" * 21}),
        ("remote-stop", {"transactionId": "7"}),
        ("unlock", {"connectorId": "9"}),
        ("reset", {"type": "Gentle"}),
        ("trigger", {"requestedMessage": "MeterValues", "connectorId": ""}),
    ]
    async with await browser(servers, user) as client:
        for kind, fields in wrong:
            response = await client.post(f"/admin/ocpp16/command/send/{row.pk}/{kind}/", data=fields)
            assert "Please correct what is marked below." in response.text, kind
        assert (await client.get(f"/admin/ocpp16/command/send/{row.pk}/melt/")).status_code == 404
    assert not Command.objects.exists()


async def test_offers_no_transaction_of_another_charge_point(
    servers: Servers, user: User, connect: Any, charge_point: Any
) -> None:
    other = await connect()
    await other.boot()
    number = await other.start("TAG", meter_start=0)
    row = ChargePoint.objects.get(identity=charge_point.identity)
    async with await browser(servers, user) as client:
        response = await client.post(
            f"/admin/ocpp16/command/send/{row.pk}/remote-stop/", data={"transactionId": number}
        )
    assert "Please correct what is marked below." in response.text
    assert Transaction.objects.get(pk=number).state == "active"


async def test_sends_nothing_for_who_may_only_look(servers: Servers, organization: Any, charge_point: Any) -> None:
    row = ChargePoint.objects.get()
    looker = staff(organization, permissions=Permission.objects.filter(codename="view_chargepoint"))
    async with await browser(servers, looker) as client:
        response = await client.post(f"/admin/ocpp16/command/send/{row.pk}/reset/", data={"type": "Soft"})
    assert response.status_code == 403
    assert not Command.objects.exists()


async def test_sends_nothing_without_the_token_of_the_page(servers: Servers, user: User, charge_point: Any) -> None:
    row = ChargePoint.objects.get()
    async with await browser(servers, user) as client:
        del client.headers["X-CSRFToken"]
        response = await client.post(f"/admin/ocpp16/command/send/{row.pk}/reset/", data={"type": "Soft"})
        assert response.status_code == 403
        assert (await client.get(f"/admin/ocpp16/command/send/{row.pk}/reset/")).status_code == 200
    assert not Command.objects.exists()
