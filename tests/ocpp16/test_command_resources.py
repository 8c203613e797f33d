"""Commands as resources: what became of each, the ways to wait for it, and the list of all."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import RequestFactory
from rest_framework.request import Request

from ocpp16.models import Command
from ocpp16.options import Options
from tests.api import Api, error_of, make_api, make_charge_point
from tests.conftest import eventually

ROOT = "/api/v1"
RESET = {"type": "Soft"}
MEMBERS = {
    *("id", "charge_point_id", "command", "payload", "state", "late", "status", "response", "error", "request_id"),
    *("response_time_ms", "created_at", "sent_at", "ended_at", "expires_at", "transaction_id", "start_timeout"),
    "api_key",
}


async def reset(api: Any, identity: str, prefer: str = "", query: str = "") -> Any:
    body = {"charge_point_id": identity, **RESET}
    return await api.post(f"{ROOT}/ocpp16/reset{query}", json=body, headers={"Prefer": prefer} if prefer else {})


async def resource(api: Any, response: Any) -> dict[str, Any]:
    found = await api.get(f"{ROOT}/commands/{response.headers['X-Command-Id']}")
    assert found.status_code == 200
    assert set(found.json()) == MEMBERS
    return found.json()


async def test_tells_what_became_of_an_answered_command(charge_point: Any, api: Any) -> None:
    asking = asyncio.create_task(reset(api, charge_point.identity))
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    told = await resource(api, await asking)
    assert (told["charge_point_id"], told["command"], told["payload"]) == (charge_point.identity, "Reset", RESET)
    assert (told["state"], told["status"], told["response"]) == ("accepted", "Accepted", {"status": "Accepted"})
    assert (told["late"], told["error"], told["expires_at"]) == (False, None, None)
    assert told["created_at"] <= told["sent_at"] <= told["ended_at"]
    assert told["api_key"].startswith("dyn_live_")


async def test_tells_of_a_refusal_and_of_one_that_was_not_sent(api: Any, make_charge_point: Any) -> None:
    refused = await reset(api, make_charge_point().identity)
    assert refused.status_code == 422
    told = await resource(api, refused)
    assert (told["state"], told["sent_at"], told["error"]["description"]) == (
        "lost",
        None,
        "The charge point is not connected.",
    )


async def test_answers_at_once_where_that_is_preferred(charge_point: Any, api: Any) -> None:
    response = await reset(api, charge_point.identity, "respond-async")
    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "respond-async"
    assert response.headers["Location"] == f"{ROOT}/commands/{response.headers['X-Command-Id']}"
    assert response.json()["state"] in ("queued", "sent")
    assert set(response.json()) == MEMBERS
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    await eventually(lambda: Command.objects.filter(state="accepted").exists())
    assert (await resource(api, response))["status"] == "Accepted"


async def test_answers_whole_where_it_has_ended_within_the_preferred_wait(charge_point: Any, api: Any) -> None:
    asking = asyncio.create_task(reset(api, charge_point.identity, "respond-async, wait=20"))
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    response = await asking
    assert (response.status_code, response.json()["status"]) == (200, "Accepted")
    assert response.headers["Preference-Applied"] == "respond-async, wait=20"


@pytest.mark.parametrize(
    ("asked", "window"),
    [
        ("", 10),
        ("wait=1", 1),
        ("wait=30", 30),
        ("respond-async", 10),
        ("respond-async, wait=1", 10),
        ("respond-async, wait=30", 30),
    ],
)
def test_takes_no_time_from_the_charge_point_by_answering_before_it_does(
    settings: Any, asked: str, window: float
) -> None:
    settings.DYNAMO_COMMAND_TIMEOUT = 10
    request = Request(RequestFactory().post(ROOT, headers={"Prefer": asked}))
    assert Options.of(request).window == window


@pytest.mark.parametrize(
    ("asked", "applied"), [("wait=999", "wait=60"), (f"wait={'9' * 90}", "wait=60"), ("wait=060", "wait=60")]
)
async def test_waits_no_longer_than_a_minute(charge_point: Any, api: Any, asked: str, applied: str) -> None:
    asking = asyncio.create_task(reset(api, charge_point.identity, asked))
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    assert (await asking).headers["Preference-Applied"] == applied


@pytest.mark.parametrize(
    "asked", ["wait=0", "wait=abc", "wait=-1", "wait=1.5", "wait", f"wait={'9' * 5000}", f"wait={'0' * 5000}1"]
)
async def test_heeds_no_wait_that_is_none(charge_point: Any, api: Any, asked: str) -> None:
    asking = asyncio.create_task(reset(api, charge_point.identity, asked))
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    response = await asking
    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers


async def test_waits_for_as_long_as_is_preferred(charge_point: Any, api: Any) -> None:
    response = await reset(api, charge_point.identity, "wait=1")
    error_of(response, 408, "timeout")
    call = await charge_point.expect("Reset")
    await call.reply(status="Accepted")
    await eventually(lambda: Command.objects.filter(state="accepted").exists())
    told = await resource(api, response)
    assert (told["state"], told["late"]) == ("accepted", True)


async def test_tells_the_transaction_of_a_remote_start(charge_point: Any, api: Any) -> None:
    body = {"charge_point_id": charge_point.identity, "id_tag": "TAG", "connector_id": 1}
    asking = asyncio.create_task(api.post(f"{ROOT}/ocpp16/remote_start_transaction", json=body))
    await (await charge_point.expect("RemoteStartTransaction")).reply(status="Accepted")
    response = await asking
    assert ((told := await resource(api, response))["transaction_id"], told["start_timeout"]) == (None, False)
    Command.objects.update(sent_at=Now() - timedelta(minutes=11))
    assert (await resource(api, response))["start_timeout"] is True
    Command.objects.update(sent_at=Now())
    transaction_id = await charge_point.start(connector_id=1, id_tag="TAG")
    told = await resource(api, response)
    assert (told["transaction_id"], told["start_timeout"]) == (transaction_id, False)


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def kept() -> str:
    return f"?deliver=when_online&expires_at={in_an_hour()}"


async def test_keeps_a_command_until_its_charge_point_is_online(api: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    responses = [await reset(api, row.identity, query=kept()) for _ in range(12)]
    assert {response.status_code for response in responses} == {202}
    told = await resource(api, responses[0])
    assert (told["state"], told["sent_at"]) == ("queued", None)
    assert told["expires_at"] > told["created_at"]
    client = await connect(row)
    for _ in responses:  # more than one second lets through
        await (await client.expect("Reset", 20)).reply(status="Accepted")
    await eventually(lambda: Command.objects.filter(state="accepted").count() == 12)


async def test_sends_at_once_what_might_have_waited(charge_point: Any, api: Any) -> None:
    asking = asyncio.create_task(reset(api, charge_point.identity, query=kept()))
    await (await charge_point.expect("Reset")).reply(status="Accepted")
    assert (await asking).status_code == 200


async def test_keeps_what_the_end_of_the_connection_overtook(charge_point: Any, connect: Any, api: Any) -> None:
    first = asyncio.create_task(reset(api, charge_point.identity))
    await charge_point.expect("Reset")  # is in flight, and never answered
    waiting = asyncio.create_task(reset(api, charge_point.identity, "respond-async", kept()))
    assert (await waiting).status_code == 202
    await charge_point.close()
    assert (await first).status_code == 422
    again = await connect(Command.objects.first().charge_point)  # type: ignore[union-attr]
    await (await again.expect("Reset", 20)).reply(status="Accepted")
    await eventually(lambda: set(Command.objects.values_list("state", flat=True)) == {"lost", "accepted"})


async def test_cancels_only_what_waits(api: Any, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point()
    response = await reset(api, row.identity, query=kept())
    path = f"{response.headers['Location']}/cancel"
    cancelled = await api.post(path)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert "cancelled" in error_of(await api.post(path), 409, "conflict")["message"]
    lost = await reset(api, row.identity)
    error_of(await api.post(f"{ROOT}/commands/{lost.headers['X-Command-Id']}/cancel"), 409, "conflict")
    client = await connect(row)
    await asyncio.gather(*(client.call("Heartbeat") for _ in range(3)))
    assert not Command.objects.exclude(state__in=["cancelled", "lost"]).exists()


@pytest.fixture
def caller(db: None) -> Api:
    return make_api()


REFUSED = [
    ("?deliver=when_online", "expires_at"),
    (f"?expires_at={in_an_hour()}", "deliver"),
    (f"?deliver=later&expires_at={in_an_hour()}", "deliver"),
    ("?deliver=when_online&expires_at=2020-01-01T00:00:00Z", "expires_at"),
    ("?deliver=when_online&expires_at=2999-01-01T00:00:00Z", "expires_at"),
    ("?deliver=when_online&expires_at=tomorrow", "expires_at"),
]


@pytest.mark.parametrize(("query", "field"), REFUSED, ids=range(len(REFUSED)))  # the same for every process
def test_refuses_to_keep_without_a_sane_end(caller: Api, query: str, field: str) -> None:
    row = make_charge_point(caller.organization)
    refused = caller.post(f"reset{query}", {"charge_point_id": row.identity, **RESET})
    assert list(error_of(refused, 400, "validation_error")["details"]) == [field]
    assert not Command.objects.exists()


STALE = [
    ("remote_start_transaction", {"id_tag": "TAG"}),
    ("send_command", {"command": "RemoteStartTransaction", "payload": {"idTag": "TAG"}}),
    (
        "send_command",
        {"command": "ChangeConfiguration", "payload": {"key": "AuthorizationKey", "value": "0123456789abcdef"}},
    ),
]


@pytest.mark.parametrize(("name", "body"), STALE)
def test_never_keeps_a_start_or_a_password(caller: Api, name: str, body: Any) -> None:
    row = make_charge_point(caller.organization)
    refused = caller.post(name + kept(), {"charge_point_id": row.identity, **body})
    assert list(error_of(refused, 400, "validation_error")["details"]) == ["deliver"]


@pytest.mark.django_db(transaction=True)
def test_never_sends_what_has_expired_and_ends_it(caller: Api) -> None:
    row = make_charge_point(caller.organization)
    caller.post(f"reset{kept()}", {"charge_point_id": row.identity, **RESET})
    assert Command.objects.end_forgotten() == 0
    Command.objects.update(created_at=Now() - timedelta(hours=3))
    assert Command.objects.end_forgotten() == 0
    row.connect("ocpp16.here/1", "127.0.0.1")
    assert Command.objects.deliverable("ocpp16.here/").count() == 1
    assert Command.objects.deliverable("ocpp16.there/").count() == 0
    Command.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert Command.objects.deliverable("ocpp16.here/").count() == 0
    assert Command.objects.claim(Command.objects.get().pk) is None
    assert Command.objects.end_forgotten() == 1
    assert Command.objects.get().state == "timed_out"


def listed(caller: Api, query: Any = None) -> Any:
    response = caller.client.get(f"{ROOT}/commands", query, headers=caller.headers({}))
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.django_db
def test_lists_commands_newest_first_page_by_page(caller: Api) -> None:
    row, at = make_charge_point(caller.organization), datetime(2026, 1, 1, tzinfo=UTC)
    # Several share their time: their ids decide.
    rows = [Command(charge_point=row, action="Reset", payload=RESET, created_at=at) for _ in range(4)]
    rows += [
        Command(charge_point=row, action="ClearCache", payload={}, created_at=at + timedelta(seconds=n)) for n in (1, 2)
    ]
    Command.objects.bulk_create(rows)
    seen: list[str] = []
    cursor: Any = {}
    while True:
        page = listed(caller, {"per_page": 4, **cursor})
        seen += [each["id"] for each in page["commands"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    wanted = sorted(rows, key=lambda each: (each.created_at, each.pk), reverse=True)
    assert seen == [str(each.pk) for each in wanted]


@pytest.mark.django_db
def test_filters_the_list(caller: Api) -> None:
    one, other = (make_charge_point(caller.organization, name) for name in ("CP-1", "CP-2"))
    Command.objects.create(charge_point=one, action="Reset", payload=RESET, state="accepted", api_key=caller.row)
    Command.objects.create(charge_point=other, action="ClearCache", payload={}, state="rejected", is_late=True)
    for query, found in [
        ({"charge_point_id": "CP-1"}, ["CP-1"]),
        ({"command": "ClearCache"}, ["CP-2"]),
        ({"state": "accepted"}, ["CP-1"]),
        ({"late": "true"}, ["CP-2"]),
        ({"late": "false"}, ["CP-1"]),
        ({"api_key": caller.row.prefix}, ["CP-1"]),
        ({"since": "2020-01-01T00:00:00Z"}, ["CP-1", "CP-2"]),
        ({"before": "2020-01-01T00:00:00Z"}, []),
    ]:
        assert sorted(each["charge_point_id"] for each in listed(caller, query)["commands"]) == found
    for query in (
        {"cursor": "x"},
        {"state": "gone"},
        {"command": "Nothing"},
        {"order": "1"},
        {"late": "1"},
        {"since": "now"},
    ):
        refused = caller.client.get(f"{ROOT}/commands", query, headers=caller.headers({}))
        assert list(error_of(refused, 400, "validation_error")["details"]) == list(query)


@pytest.mark.django_db
def test_shows_no_other_organizations_commands_and_no_password(caller: Api) -> None:
    stranger = make_api("Other")
    row = make_charge_point(caller.organization)
    payload = {"key": "AuthorizationKey", "value": "0123456789abcdef"}
    command = Command.objects.create(charge_point=row, action="ChangeConfiguration", payload=payload)
    assert listed(stranger)["commands"] == []
    for path in (f"commands/{command.pk}", f"commands/{uuid.uuid4()}"):
        found = stranger.client.get(f"{ROOT}/{path}", headers=stranger.headers({}))
        error_of(found, 404, "not_found")
    assert listed(caller)["commands"][0]["payload"] == {"key": "AuthorizationKey", "value": "***"}
    for scopes, status in ((["read:charge_points"], 403), (["write:charge_points"], 409)):
        limited = Api(caller.organization, scopes)
        path = f"{ROOT}/commands/{command.pk}/cancel"
        assert limited.client.post(path, headers=limited.headers({})).status_code == status
