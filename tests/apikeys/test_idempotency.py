"""Rows of requests that are carried out once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.http import HttpResponse
from django.test import RequestFactory

from apikeys.idempotency import KEPT, IdempotentRequest, InProgress
from apikeys.models import ApiKey
from dynamo import idempotency
from dynamo.api import in_api_thread
from dynamo.worker import DUTIES
from ocpp16 import retention
from tests.api import Api, make_api
from tests.conftest import eventually

MINUTE = timedelta(minutes=1)


@pytest.fixture
def api(transactional_db: None) -> Api:
    return make_api()


def begin(api: Api, key: str = "order-66") -> IdempotentRequest:
    return IdempotentRequest.objects.begin(api.row, key, b"POST /reset", MINUTE)


def test_has_one_row_for_a_key(api: Api) -> None:
    begin(api).answer(204, {}, b"")
    assert begin(api).is_answered
    assert IdempotentRequest.objects.count() == 1


def test_is_running_for_whom_it_ended_while_they_looked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    row = begin(api)
    insert = type(IdempotentRequest.objects).bulk_create

    def insert_and_withdraw(manager: Any, *args: Any, **options: Any) -> Any:
        inserted = insert(manager, *args, **options)
        row.withdraw()
        return inserted

    monkeypatch.setattr(type(IdempotentRequest.objects), "bulk_create", insert_and_withdraw)
    with pytest.raises(InProgress):
        begin(api)


def test_keeps_the_first_end_of_an_attempt(api: Api) -> None:
    row = begin(api)
    row.answer(200, {"X-Command-Id": "1"}, b"first")
    row.answer(422, {}, b"second")
    row.withdraw()
    found = begin(api)
    assert (found.status, found.headers, found.body) == (200, {"X-Command-Id": "1"}, b"first")


def test_goes_with_its_api_key(api: Api) -> None:
    begin(api)
    ApiKey.objects.all().delete()
    assert not IdempotentRequest.objects.exists()
    with pytest.raises(IntegrityError):
        begin(api)


def test_is_deleted_in_batches_when_it_is_a_day_old(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(4):
        begin(api, f"key-{number}")
    old = IdempotentRequest.objects.values_list("pk", flat=True)[:3]
    for pk in list(old):
        row = IdempotentRequest.objects.get(pk=pk)
        IdempotentRequest.objects.filter(pk=pk).update(created_at=row.created_at - KEPT)
    (duty,) = (duty for duty in DUTIES if duty.name == "responses")
    assert [duty.batch() for _ in range(3)] == [2, 1, 0]
    assert IdempotentRequest.objects.count() == 1


def request_of(api: Api) -> Any:
    headers = {"Idempotency-Key": "order-66", "X-API-Key": api.key}
    request: Any = RequestFactory().post("/api/v1/ocpp16/reset", b"{}", "application/json", headers=headers)
    request.in_thread = in_api_thread
    return request


class Answering:
    """Answers when it is let; counts how often it was asked."""

    def __init__(self, status: int = 200) -> None:
        self.status, self.asked, self.may_end = status, 0, asyncio.Event()

    async def __call__(self, request: Any) -> HttpResponse:
        self.asked += 1
        await self.may_end.wait()
        return HttpResponse(b'{"status":"Accepted"}', status=self.status, headers={"X-Command-Id": "1", "ETag": "x"})


async def test_goes_on_when_the_server_ends_the_request(api: Api) -> None:
    answering = Answering()
    asking = asyncio.create_task(idempotency.once(request_of(api), answering))
    await eventually(lambda: answering.asked)
    asking.cancel()
    answering.may_end.set()
    await eventually(lambda: IdempotentRequest.objects.filter(status=200).exists())
    response = await idempotency.once(request_of(api), answering)
    assert (response.status_code, response.content) == (200, b'{"status":"Accepted"}')
    kept = {"Content-Type": "text/html; charset=utf-8", "X-Command-Id": "1", "Idempotent-Replayed": "true"}
    assert response.headers == kept
    assert answering.asked == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_keeps_no_fault_of_ours(api: Api, status: int) -> None:
    answering = Answering(status)
    answering.may_end.set()
    for asked in (1, 2):
        assert (await idempotency.once(request_of(api), answering)).status_code == status
        assert answering.asked == asked
    assert not IdempotentRequest.objects.exists()


async def test_invents_no_content_type(api: Api) -> None:
    begun = IdempotentRequest.objects.begin(api.row, "order-66", idempotency.essence(request_of(api)), MINUTE)
    begun.answer(204, {}, b"")
    response = await idempotency.once(request_of(api), Answering())
    assert (response.status_code, response.headers) == (204, {"Idempotent-Replayed": "true"})


async def test_answers_even_where_the_response_cannot_be_kept(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(IdempotentRequest, "answer", fail)
    answering = Answering()
    answering.may_end.set()
    assert (await idempotency.once(request_of(api), answering)).status_code == 200
    assert "the database is away" in caplog.text
    refused = await idempotency.once(request_of(api), answering)
    assert (refused.status_code, answering.asked) == (409, 1)


async def test_leaves_a_caller_whose_api_key_was_just_deleted_to_the_view(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ApiKey.objects.find(api.key)
    monkeypatch.setattr(type(ApiKey.objects), "find", lambda *args: found)
    ApiKey.objects.all().delete()
    answering = Answering(401)
    answering.may_end.set()
    assert (await idempotency.once(request_of(api), answering)).status_code == 401


@pytest.mark.parametrize(("timeout", "seconds"), [(10, 120), (3600, 3660)])
def test_lets_a_request_run_longer_than_any_command(settings: Any, timeout: float, seconds: float) -> None:
    settings.DYNAMO_COMMAND_TIMEOUT = timeout
    assert idempotency.longest() == timedelta(seconds=seconds)
