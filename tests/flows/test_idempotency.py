"""A POST with an Idempotency-Key is carried out once, however often it comes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import InvalidToken
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apikeys.idempotency import KEPT, IdempotentRequest
from apikeys.models import ApiKey
from dynamo import idempotency
from ocpp16.models import Command
from tests.api import error_of
from tests.conftest import eventually

ROOT = "/api/v1/ocpp16"
KEY = "order-66"
SAID_AGAIN = ("Content-Type", "X-Command-Id")

Post = Callable[..., asyncio.Task[Any]]


@pytest.fixture
def post(api: Any, charge_point: Any) -> Post:
    """Begins a reset of the charge point, under KEY unless another is given."""

    def begin(key: str | bytes = KEY, name: str = "reset", as_key: str = "", **changes: Any) -> asyncio.Task[Any]:
        body = {"charge_point_id": charge_point.identity, "type": "Soft"} | changes
        headers: dict[str, Any] = {"Idempotency-Key": key}
        if as_key:
            headers["Authorization"] = f"Bearer {as_key}"
        return asyncio.create_task(api.post(f"{ROOT}/{name}", json=body, headers=headers))

    return begin


async def carried_out(asking: asyncio.Task[Any], charge_point: Any, status: str = "Accepted") -> Any:
    """The response to a reset that the charge point was sent, and answers."""
    call = await charge_point.expect("Reset")
    await call.reply(status=status)
    response = await asking
    assert "Idempotent-Replayed" not in response.headers
    assert response.headers["X-Command-Id"] == call.message_id
    return response


def replayed(response: Any, first: Any) -> None:
    assert response.headers["Idempotent-Replayed"] == "true"
    assert (response.status_code, response.content) == (first.status_code, first.content)
    assert [response.headers.get(name) for name in SAID_AGAIN] == [first.headers.get(name) for name in SAID_AGAIN]
    assert response.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def rows() -> Any:
    return IdempotentRequest.objects.all()


def lapse() -> None:
    rows().update(created_at=F("created_at") - KEPT)


def die() -> None:
    """Leave what a process leaves that dies with a request in flight, and all its time gone by."""
    rows().update(status=None, headers={}, sealed_body=b"", running_until=timezone.now() - timedelta(seconds=1))


async def test_answers_a_repeated_request_as_at_first(post: Post, charge_point: Any) -> None:
    first = await carried_out(post(), charge_point)
    assert first.status_code == 200
    for _ in range(3):
        replayed(await post(), first)
    assert Command.objects.count() == 1
    assert charge_point.calls.empty()


async def test_repeats_a_refusal_of_the_charge_point(post: Post, charge_point: Any) -> None:
    first = await carried_out(post(), charge_point, "Rejected")
    error_of(first, 422, "ocpp_rejected")
    replayed(await post(), first)


async def test_does_not_ask_again_whoever_gave_no_answer(post: Post, charge_point: Any) -> None:
    first = await post()
    error_of(first, 408, "timeout")
    replayed(await post(), first)
    assert charge_point.calls.qsize() == 1


async def test_sends_one_call_for_fifty_requests_at_once(post: Post, charge_point: Any) -> None:
    asking = [post() for _ in range(50)]
    call = await charge_point.expect("Reset")
    await eventually(lambda: sum(task.done() for task in asking) == 49)
    (first,) = (task for task in asking if not task.done())
    for task in asking:
        if task is not first:
            error_of(task.result(), 409, "idempotency_in_progress")
            assert task.result().headers["Retry-After"] == "1"
    await call.reply(status="Accepted")
    answered = await first
    replayed(await post(), answered)
    assert Command.objects.count() == 1
    assert charge_point.calls.empty()


@pytest.mark.parametrize(
    "other", [{"type": "Hard"}, {"name": "change_availability"}, {"name": "reset?dry=1"}, {"charge_point_id": "CP-X"}]
)
async def test_refuses_another_request_under_the_key(post: Post, charge_point: Any, other: dict[str, Any]) -> None:
    asking = post()
    call = await charge_point.expect("Reset")
    error_of(await post(**other), 422, "idempotency_key_reused")
    await call.reply(status="Accepted")
    first = await asking
    error_of(await post(**other), 422, "idempotency_key_reused")
    replayed(await post(), first)


async def test_takes_another_key_for_another_request(post: Post, charge_point: Any) -> None:
    first = await carried_out(post(), charge_point)
    second = await carried_out(post("order-67"), charge_point)
    third = await carried_out(post("ORDER-66"), charge_point)
    replayed(await post(), first)
    replayed(await post("order-67"), second)
    replayed(await post("ORDER-66"), third)


async def test_keeps_the_keys_of_each_api_key_apart(
    post: Post, charge_point: Any, make_key: Any, other_organization: Any
) -> None:
    first = await carried_out(post(), charge_point)
    second = await carried_out(post(as_key=make_key(), type="Hard"), charge_point)
    error_of(await post(as_key=make_key(owner=other_organization)), 404, "not_found")
    replayed(await post(), first)
    assert second.headers["X-Command-Id"] != first.headers["X-Command-Id"]


async def test_forgets_after_a_day(post: Post, charge_point: Any) -> None:
    first = await carried_out(post(), charge_point)
    rows().update(created_at=F("created_at") - KEPT + timedelta(minutes=1))
    replayed(await post(), first)
    lapse()
    other = await carried_out(post(type="Hard"), charge_point)
    replayed(await post(type="Hard"), other)


async def test_carries_out_what_a_process_that_died_had_begun(post: Post, charge_point: Any) -> None:
    await carried_out(post(), charge_point)
    die()
    error_of(await post(type="Hard"), 422, "idempotency_key_reused")
    second = await carried_out(post(), charge_point)
    replayed(await post(), second)


async def test_waits_for_a_process_that_may_be_alive(post: Post, charge_point: Any) -> None:
    await carried_out(post(), charge_point)
    die()
    rows().update(running_until=timezone.now() + timedelta(minutes=1))
    error_of(await post(), 409, "idempotency_in_progress")


async def test_lets_no_request_that_was_given_up_end_its_successor(post: Post, charge_point: Any) -> None:
    late = post()
    call = await charge_point.expect("Reset")
    die()
    asking = post()
    await eventually(lambda: Command.objects.count() == 2)
    await call.reply(status="Accepted")
    assert (await late).status_code == 200
    error_of(await post(), 409, "idempotency_in_progress")
    second = await carried_out(asking, charge_point)
    replayed(await post(), second)


@pytest.mark.parametrize(
    ("status", "code", "changes"),
    [
        (400, "validation_error", {"type": "Medium"}),
        (404, "not_found", {"charge_point_id": "CP-NOBODY"}),
        (404, "not_found", {"name": "nothing"}),
        (405, "method_not_allowed", {"name": "charge_points/status"}),
    ],
)
async def test_lets_a_request_be_corrected(
    post: Post, charge_point: Any, status: int, code: str, changes: dict[str, Any]
) -> None:
    error_of(await post(**changes), status, code)
    error_of(await post(**changes), status, code)
    assert not rows().exists()
    assert (await carried_out(post(), charge_point)).status_code == 200


async def test_keeps_no_refusal_for_want_of_a_scope(post: Post, charge_point: Any, make_key: Any) -> None:
    weak = make_key("read:charge_points")
    error_of(await post(as_key=weak), 403, "forbidden")
    ApiKey.objects.filter(scopes=["read:charge_points"]).update(scopes=["write:charge_points"])
    assert (await carried_out(post(as_key=weak), charge_point)).status_code == 200


async def obey(charge_point: Any, seen: list[str]) -> None:
    while True:
        call = await charge_point.calls.get()
        seen.append(call.message_id)
        await call.reply(status="Accepted")


async def test_lets_a_limited_request_be_tried_again(post: Post, charge_point: Any) -> None:
    crowd = [post(f"crowd-{number}") for number in range(11)]
    (limited,), _ = await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
    error_of(limited.result(), 429, "rate_limited")
    error_of(await post(), 429, "rate_limited")
    seen: list[str] = []
    obeying = asyncio.create_task(obey(charge_point, seen))
    assert Counter(each.status_code for each in await asyncio.gather(*crowd)) == {200: 10, 429: 1}
    while (response := await post()).status_code == 429:
        pass
    assert response.status_code == 200
    replayed(await post(), response)
    assert len(seen) == len(set(seen)) == 11
    obeying.cancel()


@pytest.mark.parametrize(
    "key", [b"", b"x" * 256, "K\u00fc".encode(), "K\u00fc".encode("latin-1"), b"a\x7f", b"\xff"], ids=repr
)
async def test_refuses_what_is_no_key(post: Post, charge_point: Any, key: bytes) -> None:
    error = error_of(await post(key), 400, "validation_error")
    assert error["details"] == {"Idempotency-Key": ["Must be 1 to 255 printable ASCII characters."]}
    assert not rows().exists()
    assert not Command.objects.exists()


@pytest.mark.parametrize("key", ["x" * 255, "'; DROP TABLE apikeys_apikey; --", "%s {0} %00", '"a", "b"', "~"])
async def test_takes_any_key_of_printable_characters(post: Post, charge_point: Any, key: str) -> None:
    first = await carried_out(post(key), charge_point)
    replayed(await post(key), first)


async def test_answers_nobody_whose_api_key_is_not_usable_any_more(post: Post, charge_point: Any) -> None:
    await carried_out(post(), charge_point)
    (row,) = rows().select_related("api_key")
    row.api_key.revoke()
    for key in (KEY, "order-67", ""):
        error_of(await post(key), 401, "unauthorized")
    assert rows().count() == 1


async def test_counts_as_a_use_of_the_api_key(post: Post, charge_point: Any) -> None:
    await carried_out(post(), charge_point)
    ApiKey.objects.update(last_used_at=None)
    await post()
    assert ApiKey.objects.get().last_used_at is not None


async def test_keeps_the_response_for_a_caller_who_hung_up(post: Post, charge_point: Any) -> None:
    asking = post()
    call = await charge_point.expect("Reset")
    asking.cancel()
    await call.reply(status="Accepted")
    await eventually(lambda: rows().filter(status=200).exists())
    response = await post()
    assert (response.status_code, response.headers["X-Command-Id"]) == (200, call.message_id)
    assert response.headers["Idempotent-Replayed"] == "true"


async def test_stores_no_response_that_can_be_read(post: Post, charge_point: Any, settings: Any) -> None:
    first = await carried_out(post(), charge_point)
    (row,) = rows()
    assert row.body == first.content
    stored = repr(list(rows().values()))
    assert charge_point.identity not in stored
    assert KEY not in stored
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(InvalidToken):
        _ = row.body


async def test_asks_nothing_of_requests_without_a_key(api: Any, charge_point: Any) -> None:
    body = {"charge_point_id": charge_point.identity, "type": "Soft"}
    answers = [
        await carried_out(asyncio.create_task(api.post(f"{ROOT}/reset", json=body)), charge_point) for _ in range(2)
    ]
    assert len({answer.headers["X-Command-Id"] for answer in answers}) == 2
    url, headers = f"{ROOT}/charge_points/status", {"Idempotency-Key": KEY}
    for _ in range(2):
        assert "Idempotent-Replayed" not in (await api.get(url, headers=headers)).headers
    assert not rows().exists()


@pytest.mark.parametrize(("has_sent", "left"), [(True, 1), (False, 0)])
def test_keeps_a_fault_of_ours_only_where_a_call_had_left(make_key: Any, has_sent: bool, left: int) -> None:
    key = ApiKey.objects.find(make_key())
    assert key is not None
    row = IdempotentRequest.objects.begin(key, KEY, b"POST /", timedelta(seconds=60))
    request = HttpRequest()
    request.has_sent = has_sent  # type: ignore[attr-defined]
    idempotency.end(row, request, HttpResponse(status=500))
    assert IdempotentRequest.objects.count() == left
