"""Keys that are limited to some commands and charge points, over the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from apikeys.models import ApiKey
from apikeys.querysets import reaches
from chargepoints.models import ChargePoint, Transaction
from ocpp16.models import Command
from tests.api import error_of

ROOT, KEYS, ME = "/api/v1/ocpp16", "/api/v1/org/api-keys", "/api/v1/me"
LIMITS = {
    "allowed_commands": ["Reset", "GetConfiguration"],
    "allowed_charge_points": ["CP-A", "CP-B"],
    "allowed_addresses": ["10.0.0.0/8", "2001:db8::/32"],
}


@pytest.fixture
def act(servers: Any, make_key: Callable[..., str]) -> Callable[..., Any]:
    """`await act("POST", path, body, **limits of the key)`."""

    async def act(method: str, path: str, body: Any = None, key: str = "", **limits: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key or make_key(**limits)}"}
        async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30) as client:
            return await client.request(method, path, json=body)

    return act


def reset(identity: str) -> dict[str, str]:
    return {"charge_point_id": identity, "type": "Soft"}


def raw(identity: str, command: str) -> dict[str, Any]:
    return {"charge_point_id": identity, "command": command, "payload": {}}


async def test_sends_the_commands_that_it_is_limited_to(act: Any, charge_point: Any, make_key: Any) -> None:
    key = make_key(allowed_commands=["Reset", "ClearCache"])
    for path, body, action in [
        ("reset", reset(charge_point.identity), "Reset"),
        ("send_command", raw(charge_point.identity, "ClearCache"), "ClearCache"),
    ]:
        asking = asyncio.create_task(act("POST", f"{ROOT}/{path}", body, key=key))
        await (await charge_point.expect(action)).reply(status="Accepted")
        assert (await asking).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "action"),
    [
        ("reset", reset("CP-A"), "Reset"),
        ("reset", {"nonsense": True}, "Reset"),
        ("send_command", {"charge_point_id": "CP-A", "command": "Reset", "payload": {"type": "Soft"}}, "Reset"),
        ("send_command", raw("CP-A", "ClearCache"), "ClearCache"),
    ],
)
async def test_sends_no_other_command(act: Any, make_charge_point: Any, path: str, body: Any, action: str) -> None:
    make_charge_point("CP-A")
    response = await act("POST", f"{ROOT}/{path}", body, allowed_commands=["UnlockConnector"])
    error = error_of(response, 403, "forbidden")
    assert error["details"] == {"command": action, "allowed_commands": ["UnlockConnector"]}
    assert not Command.objects.exists()


async def test_commands_no_charge_point_that_it_is_not_limited_to(act: Any, make_charge_point: Any) -> None:
    for identity in ("CP-A", "CP-B"):
        make_charge_point(identity)
    answers = [
        await act("POST", f"{ROOT}/reset", reset(identity), allowed_charge_points=["CP-A", "CP-GONE"])
        for identity in ("CP-B", "CP-GONE", "CP-A")
    ]
    absent = error_of(answers[1], 404, "not_found")
    assert error_of(answers[0], 404, "not_found") == absent
    error_of(answers[2], 422, "charge_point_offline")
    assert Command.objects.get().charge_point.identity == "CP-A"


async def test_commands_each_what_its_own_key_reaches(act: Any, make_key: Any, make_charge_point: Any) -> None:
    keys = {identity: make_key(allowed_charge_points=[identity]) for identity in ("CP-A", "CP-B")}
    for identity in keys:
        make_charge_point(identity)
    asked = [(own, identity) for own in keys for identity in keys] * 5
    answers = await asyncio.gather(*(act("POST", f"{ROOT}/reset", reset(to), key=keys[own]) for own, to in asked))
    assert [answer.status_code for answer in answers] == [422 if own == to else 404 for own, to in asked]


async def test_reads_no_charge_point_that_it_is_not_limited_to(act: Any, make_charge_point: Any) -> None:
    for identity in ("CP-A", "CP-B"):
        make_charge_point(identity)
    limits = {"allowed_charge_points": ["CP-A", "CP-GONE"]}
    listed = (await act("GET", f"{ROOT}/charge_points/status", **limits)).json()
    assert ([row["charge_point_id"] for row in listed["charge_points"]], listed["total"]) == (["CP-A"], 1)
    answers = [await act("GET", f"{ROOT}/active_transactions/{identity}", **limits) for identity in ("CP-B", "CP-GONE")]
    assert error_of(answers[0], 404, "not_found") == error_of(answers[1], 404, "not_found")
    assert (await act("GET", f"{ROOT}/active_transactions/CP-A", **limits)).status_code == 200


async def test_reaches_no_charge_point_of_another_organization_by_naming_it(
    act: Any, make_charge_point: Any, other_organization: Any
) -> None:
    make_charge_point("CP-A", owner=other_organization)
    response = await act("POST", f"{ROOT}/reset", reset("CP-A"), allowed_charge_points=["CP-A"])
    error_of(response, 404, "not_found")


@pytest.mark.django_db
def test_confines_the_rows_of_charge_points_too(make_key: Any, make_charge_point: Any, organization: Any) -> None:
    for identity in ("CP-A", "CP-B"):
        Command.objects.create(charge_point=make_charge_point(identity), action="Reset", payload={})
    limited, free = (ApiKey.objects.find(make_key(allowed_charge_points=limit)) for limit in (["CP-A"], None))
    assert Command.objects.for_key(limited).get().charge_point.identity == "CP-A"
    assert Command.objects.for_key(free).count() == 2
    assert not Transaction.objects.for_key(limited).exists()
    assert ApiKey.objects.for_key(limited).count() == 2


async def test_makes_a_limited_key(act: Any) -> None:
    given = {**LIMITS, "allowed_addresses": ["10.0.0.0/8", "203.0.113.7", "10.0.0.0/8"]}
    response = await act("POST", KEYS, {"name": "Portal", "scopes": ["read:charge_points"], **given})
    assert response.status_code == 201
    made = response.json()
    assert {name: made[name] for name in LIMITS} == {**LIMITS, "allowed_addresses": ["10.0.0.0/8", "203.0.113.7/32"]}


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"allowed_commands": []}, "allowed_commands"),
        ({"allowed_commands": ["Explode"]}, "allowed_commands[0]"),
        ({"allowed_commands": "Reset"}, "allowed_commands"),
        ({"allowed_charge_points": []}, "allowed_charge_points"),
        ({"allowed_charge_points": ["x" * 49]}, "allowed_charge_points[0]"),
        ({"allowed_charge_points": [1]}, "allowed_charge_points[0]"),
        ({"allowed_charge_points": ["x"] * 501}, "allowed_charge_points"),
        ({"allowed_addresses": ["10.0.0.1/8"]}, "allowed_addresses[0]"),
        ({"allowed_addresses": ["example.com"]}, "allowed_addresses[0]"),
        ({"allowed_addresses": [167772160]}, "allowed_addresses[0]"),
    ],
)
async def test_refuses_what_is_no_limit(act: Any, limits: Any, field: str) -> None:
    response = await act("POST", KEYS, {"name": "Portal", "scopes": ["read:sessions"], **limits})
    assert list(error_of(response, 400, "validation_error")["details"]) == [field]


@pytest.mark.parametrize("name", ["allowed_commands", "allowed_charge_points"])
async def test_grants_no_wider_limit_than_its_own(act: Any, name: str) -> None:
    own = {name: LIMITS[name]}
    body = {"name": "Portal", "scopes": ["read:sessions"]}
    wider = {"allowed_commands": ["Reset", "ClearCache"], "allowed_charge_points": ["CP-A", "CP-C"]}
    for limit in (None, wider[name]):
        error = error_of(await act("POST", KEYS, {**body, name: limit}, **own), 403, "forbidden")
        assert error["details"] == {"exceeds": [name]}
    narrower = await act("POST", KEYS, {**body, name: LIMITS[name][:1]}, **own)
    assert narrower.json()[name] == LIMITS[name][:1]
    inherited = await act("POST", KEYS, body, **own)
    assert inherited.json()[name] == LIMITS[name]


@pytest.mark.parametrize("name", LIMITS)
async def test_rotates_a_key_into_one_with_its_limits(act: Any, make_key: Any, name: str) -> None:
    key = make_key(**{name: LIMITS[name]})
    row = ApiKey.objects.get(prefix=key[:17])
    made = (await act("POST", f"{KEYS}/{row.pk}/rotate")).json()
    assert made[name] == LIMITS[name]


async def test_rotates_no_key_that_reaches_more(act: Any, make_key: Any) -> None:
    row = ApiKey.objects.get(prefix=make_key(allowed_charge_points=["CP-A", "CP-C"])[:17])
    response = await act("POST", f"{KEYS}/{row.pk}/rotate", allowed_charge_points=["CP-A"])
    assert error_of(response, 403, "forbidden")["details"] == {"exceeds": ["allowed_charge_points"]}


async def test_tells_no_charge_points_that_it_does_not_reach(act: Any, make_key: Any) -> None:
    row = ApiKey.objects.get(prefix=make_key(allowed_charge_points=["CP-A", "CP-SECRET"])[:17])
    key = make_key(allowed_charge_points=["CP-A"])
    answers = [
        await act(method, KEYS + path, key=key)
        for method, path in [("GET", ""), ("GET", f"/{row.pk}"), ("POST", f"/{row.pk}/revoke")]
    ]
    assert all(answer.status_code == 200 and "SECRET" not in answer.text for answer in answers)
    row.refresh_from_db()
    assert row.allowed_charge_points == ["CP-A", "CP-SECRET"]


async def test_tells_a_key_its_limits(act: Any) -> None:
    limits = {**LIMITS, "allowed_addresses": ["127.0.0.0/8"]}
    told = (await act("GET", ME, **limits)).json()
    assert {name: told[name] for name in LIMITS} == limits


@pytest.mark.parametrize("is_test", [False, True])
@pytest.mark.parametrize("allowed", [None, [], ["CP-A", "CP-D"]])
@pytest.mark.django_db
def test_reaches_of_rows_that_were_read_what_it_would_find(
    make_key: Any, make_charge_point: Any, other_organization: Any, is_test: bool, allowed: list[str] | None
) -> None:
    for identity, owner, is_simulated in [
        ("CP-A", None, False),
        ("CP-B", None, True),
        ("CP-C", other_organization, True),
        ("CP-D", None, True),
    ]:
        make_charge_point(identity, owner=owner, is_simulated=is_simulated)
    key = ApiKey.objects.find(make_key(is_test=is_test, allowed_charge_points=allowed))
    rows = ChargePoint.objects.named_to_command({"CP-A", "CP-B", "CP-C", "CP-D", "CP-E"})
    found = set(ChargePoint.objects.for_key(key).values_list("identity", flat=True))
    assert {identity for identity, row in rows.items() if reaches(key, row)} == found
