"""A command to many charge points: in order, a few at a time, and no further than it should."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from apikeys.models import ApiKey
from ocpp16 import bulk as engine
from ocpp16.models import BulkCommand, BulkTarget, Command
from tests.api import Api, error_of, make_api, make_charge_point
from tests.conftest import eventually

PATH = "/api/v1/commands/bulk"
CLEAR = {"command": "ClearCache", "payload": {}}


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """A worker, in this process."""
    task = asyncio.create_task(engine.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def obey(client: Any, status: str = "Accepted") -> None:
    while True:
        await (await client.expect("ClearCache", 60)).reply(status=status)


@pytest.fixture(autouse=True)
async def worker(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """Beside two servers, as `manage.py worker` is; one that is alone works itself."""
    if "api" not in request.fixturenames or not os.environ.get("REDIS_URL"):
        yield
        return
    request.getfixturevalue("servers")  # with a database
    async with working():
        yield


@pytest.fixture
async def fleet(connect: Any) -> AsyncIterator[list[Any]]:
    """Six charge points, of which the last refuses."""
    clients = [await connect() for _ in range(6)]
    obeying = [asyncio.create_task(obey(each, "Rejected" if each is clients[-1] else "Accepted")) for each in clients]
    yield clients
    for task in obeying:
        task.cancel()


async def ended(api: Any, location: str) -> dict[str, Any]:
    await eventually(lambda: BulkCommand.objects.exclude(ended_at=None).exists(), 40)
    return (await api.get(location)).json()


async def order(api: Any, **body: Any) -> Any:
    response = await api.post(PATH, json={**CLEAR, **body})
    assert response.status_code == 202, response.text
    assert response.headers["Location"] == f"{PATH}/{response.json()['id']}"
    return response


async def test_sends_to_each_and_tells_what_became_of_it(api: Any, fleet: list[Any], make_charge_point: Any) -> None:
    offline = make_charge_point()
    identities = [*(each.identity for each in fleet), offline.identity]
    response = await order(api, charge_point_ids=[*identities, identities[0]], at_once=3)
    assert response.json()["total"] == 7  # each once
    told = await ended(api, response.headers["Location"])
    assert (told["state"], told["counts"]) == ("finished", {"accepted": 5, "rejected": 1, "lost": 1})
    results = (await api.get(f"{response.headers['Location']}/results")).json()
    assert [each["charge_point_id"] for each in results["results"]] == identities
    assert [each["state"] for each in results["results"]] == [*5 * ["accepted"], "rejected", "lost"]
    assert [each["status"] for each in results["results"]] == [*5 * ["Accepted"], "Rejected", None]
    command = (await api.get(f"/api/v1/commands/{results['results'][0]['command_id']}")).json()
    assert (command["charge_point_id"], command["api_key"] is not None) == (identities[0], True)
    failed = (await api.get(f"{response.headers['Location']}/results", params={"state": "lost"})).json()
    assert (failed["total"], failed["results"][0]["charge_point_id"]) == (1, offline.identity)
    assert (await api.get(PATH)).json()["bulk_commands"][0] == told


async def test_takes_the_charge_points_of_a_filter(api: Any, fleet: list[Any], make_charge_point: Any) -> None:
    make_charge_point()
    response = await order(api, filter={"online": "true"})
    assert response.json()["total"] == 6
    assert (await ended(api, response.headers["Location"]))["counts"] == {"accepted": 5, "rejected": 1}


async def test_has_no_more_on_their_way_than_it_says(api: Any, connect: Any) -> None:
    clients = [await connect() for _ in range(5)]
    response = await order(api, charge_point_ids=[each.identity for each in clients], at_once=2)
    first = [await clients[number].expect("ClearCache", 20) for number in (0, 1)]
    counts = (await api.get(response.headers["Location"])).json()["counts"]
    assert counts == {"pending": 3, "begun": 2}
    assert all(each.calls.empty() for each in clients[2:])
    await first[0].reply(status="Accepted")
    await (await clients[2].expect("ClearCache", 20)).reply(status="Accepted")
    await first[1].reply(status="Accepted")
    for client in clients[3:]:
        await (await client.expect("ClearCache", 20)).reply(status="Accepted")
    assert (await ended(api, response.headers["Location"]))["counts"] == {"accepted": 5}


async def test_goes_no_further_than_its_canary_where_that_fails(api: Any, fleet: list[Any]) -> None:
    identities = [each.identity for each in reversed(fleet)]  # the one that refuses comes first
    response = await order(api, charge_point_ids=identities, canary=2, stop_on_failure_rate=0.3)
    told = await ended(api, response.headers["Location"])
    assert (told["state"], told["counts"]) == ("stopped", {"rejected": 1, "accepted": 1, "pending": 4})
    assert told["reason"] == "1 of 2 failed, more than 30%."
    assert Command.objects.count() == 2


async def test_goes_on_after_a_canary_that_is_well(api: Any, fleet: list[Any]) -> None:
    identities = [each.identity for each in fleet]
    response = await order(api, charge_point_ids=identities, canary=2, stop_on_failure_rate=0.3)
    assert (await ended(api, response.headers["Location"]))["state"] == "finished"


async def test_is_stopped_and_lets_what_is_on_its_way_end(api: Any, connect: Any) -> None:
    clients = [await connect() for _ in range(3)]
    response = await order(api, charge_point_ids=[each.identity for each in clients], at_once=1)
    call = await clients[0].expect("ClearCache", 20)
    stopped = await api.post(f"{response.headers['Location']}/stop")
    assert (stopped.status_code, stopped.json()["state"], stopped.json()["ended_at"]) == (200, "stopped", None)
    error_of(await api.post(f"{response.headers['Location']}/stop"), 409, "conflict")
    await call.reply(status="Accepted")
    assert (await ended(api, response.headers["Location"]))["counts"] == {"accepted": 1, "pending": 2}


@pytest.mark.django_db
def test_begins_nothing_once_it_is_stopped(organization: Any, make_charge_point: Any) -> None:
    fields = {"organization": organization, "action": "ClearCache", "payload": {}, "at_once": 2}
    bulk = BulkCommand.objects.order([make_charge_point().pk for _ in range(3)], **fields)
    assert len(bulk.begin(3, 1)) == 1
    assert BulkCommand.objects.get().stop("It was stopped meanwhile.")
    assert bulk.begin(3, 1) == []
    assert bulk.counts() == {"begun": 1, "pending": 2}
    assert Command.objects.count() == 1


@pytest.mark.django_db(transaction=True)
async def test_goes_on_where_a_process_that_died_had_left_it(organization: Any, make_charge_point: Any) -> None:
    rows = [make_charge_point() for _ in range(4)]
    fields = {"organization": organization, "action": "ClearCache", "payload": {}, "at_once": 2}
    bulk = BulkCommand.objects.order([row.pk for row in rows], **fields, leased_until=Now() + timedelta(hours=1))
    (_, answered), (_, unanswered) = bulk.begin(4, 2)
    answered.end("accepted")
    assert BulkCommand.objects.claim(5) == []  # it is being carried out
    BulkCommand.objects.update(leased_until=Now() - timedelta(seconds=1))
    async with working():
        await eventually(lambda: BulkTarget.objects.filter(state="lost").count() == 2)  # the others, offline
        assert BulkCommand.objects.get().ended_at is None
        unanswered.end("timed_out")
        await eventually(lambda: BulkCommand.objects.get().ended_at is not None)
    states = [target.state for target in BulkTarget.objects.order_by("position")]
    assert states == ["accepted", "timed_out", "lost", "lost"]
    assert Command.objects.count() == 4  # each once
    assert BulkCommand.objects.get().state == "finished"


@pytest.fixture
def caller(db: None) -> Api:
    return make_api()


def refused(caller: Api, body: dict[str, Any]) -> list[str]:
    headers = caller.headers({})
    response = caller.client.post(PATH, {**CLEAR, **body}, content_type="application/json", headers=headers)
    return list(error_of(response, 400, "validation_error")["details"])


def test_refuses_what_cannot_be_meant(caller: Api) -> None:
    row = make_charge_point(caller.organization)
    foreign = make_charge_point(make_api("Other").organization, "FOREIGN")
    known = {"charge_point_ids": [row.identity]}
    password = {"command": "ChangeConfiguration", "payload": {"key": "AuthorizationKey", "value": "0123456789abcdef"}}
    for body, fields in [
        ({}, ["charge_point_ids"]),
        ({**known, "filter": {}}, ["charge_point_ids"]),
        ({"charge_point_ids": []}, ["charge_point_ids"]),
        ({"charge_point_ids": [row.identity, foreign.identity, "CP"]}, ["charge_point_ids"]),
        ({"charge_point_ids": ["CP\x00"]}, ["charge_point_ids[0]"]),
        ({"filter": {"colour": "red"}}, ["filter.colour"]),
        ({"filter": {"vendor": 7}}, ["filter.vendor"]),
        ({"filter": {"online": "perhaps"}}, ["online"]),
        ({"filter": {"vendor": "Nobody"}}, ["filter"]),
        ({**known, "command": "Nothing"}, ["command"]),
        ({**known, "command": "Reset"}, ["payload.type"]),
        ({**known, "at_once": 0}, ["at_once"]),
        ({**known, "stop_on_failure_rate": 2}, ["stop_on_failure_rate"]),
        ({**known, "charge_point_id": row.identity}, ["charge_point_id"]),
        ({**known, **password}, ["payload"]),
    ]:
        assert refused(caller, body) == fields, body
    assert not BulkCommand.objects.exists()


def test_is_seen_by_its_organization_only(caller: Api) -> None:
    row, stranger = make_charge_point(caller.organization), make_api("Other")
    fields = {"organization": caller.organization, "action": "ClearCache", "payload": {}, "at_once": 1}
    bulk = BulkCommand.objects.order([row.pk], **fields)
    headers = stranger.headers({})
    for path in ("", "/results"):
        error_of(stranger.client.get(f"{PATH}/{bulk.pk}{path}", headers=headers), 404, "not_found")
    error_of(stranger.client.post(f"{PATH}/{bulk.pk}/stop", headers=headers), 404, "not_found")
    assert stranger.client.get(PATH, headers=headers).json()["bulk_commands"] == []
    reader = Api(caller.organization, ["read:charge_points"])
    body = {**CLEAR, "charge_point_ids": [row.identity]}
    refusal = reader.client.post(PATH, body, content_type="application/json", headers=reader.headers({}))
    error_of(refusal, 403, "forbidden")


def test_goes_no_further_than_its_key(caller: Api) -> None:
    _, other = (make_charge_point(caller.organization, name) for name in ("CP-1", "CP-2"))
    fields = {"organization": caller.organization, "action": "ClearCache", "payload": {}, "at_once": 1}
    bulk = BulkCommand.objects.order([other.pk], **fields)
    ApiKey.objects.filter(pk=caller.row.pk).update(allowed_charge_points=["CP-1"], allowed_commands=["ClearCache"])
    assert refused(caller, {"charge_point_ids": ["CP-1", "CP-2"]}) == ["charge_point_ids"]
    headers = caller.headers({})
    error_of(caller.client.get(f"{PATH}/{bulk.pk}", headers=headers), 404, "not_found")
    reset = {"command": "Reset", "payload": {"type": "Soft"}, "charge_point_ids": ["CP-1"]}
    error_of(caller.client.post(PATH, reset, content_type="application/json", headers=headers), 403, "forbidden")
    body = {**CLEAR, "filter": {}}
    ordered = caller.client.post(PATH, body, content_type="application/json", headers=headers)
    assert ordered.json()["total"] == 1
    assert caller.client.get(ordered.headers["Location"], headers=headers).status_code == 200
