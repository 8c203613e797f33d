"""Idempotency-Key: a POST that is repeated with the same key is carried out once, and answered as it was at first."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, IntegrityError
from django.http import HttpRequest, HttpResponse, JsonResponse

from apikeys.authentication import find_keys
from apikeys.idempotency import IdempotentRequest, InProgress, KeyReused
from apikeys.rates import is_too_many
from ocpp16.retention import delete_batch

from .errors import CODES, envelope

logger = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAXIMUM_LENGTH = 255
FORMAT = re.compile(rf"[ -~]{{1,{MAXIMUM_LENGTH}}}")
PROBLEM = f"Must be 1 to {MAXIMUM_LENGTH} printable ASCII characters."
REFUSALS = {
    400: envelope(CODES[400], f"{HEADER}: {PROBLEM}", {HEADER: [PROBLEM]}),
    409: envelope("idempotency_in_progress", f"A request with this {HEADER} is still running."),
    422: envelope("idempotency_key_reused", f"This {HEADER} was used for another request before."),
}
# What a response says by its headers; the others are of its transport.
KEPT_HEADERS = ("Content-Type", "Location", "Preference-Applied", "Retry-After", "X-Command-Id")
# By these nothing was begun: the caller may correct the request, or try again, under the same key.
NOT_KEPT = frozenset({400, 401, 403, 404, 405, 413, 415, 429, 500, 503})
# The longest window that a caller can ask for, and what is needed besides it.
WINDOW_SECONDS = 60
MARGIN_SECONDS = 60

# The event loop keeps no task alive by itself.
_tasks: set[asyncio.Task[Any]] = set()


def is_given(request: HttpRequest) -> bool:
    return request.method == "POST" and "HTTP_IDEMPOTENCY_KEY" in request.META


async def once(request: Any, answer: Callable[[Any], Awaitable[HttpResponse]]) -> HttpResponse:
    """The response that `answer` gives to the request, or gave to the one that this repeats; `answer` raises nothing.

    Who hangs up stops nothing: the response is kept for when they come back.
    """
    task = asyncio.create_task(_once(request, answer))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return await asyncio.shield(task)


async def _once(request: Any, answer: Callable[[Any], Awaitable[HttpResponse]]) -> HttpResponse:
    begun = await request.in_thread(begin, request)
    if isinstance(begun, HttpResponse):
        return begun
    response = await answer(request)
    if begun is not None:
        await request.in_thread(end, begun, request, response)
    return response


def begin(request: Any) -> IdempotentRequest | HttpResponse | None:
    """The row of a new request, the response to any other; None where the view is to refuse the caller."""
    find_keys([request])
    api_key = request.found_key
    if api_key is None or is_too_many(request):
        return None
    api_key.record_use()
    request.auth = api_key  # for the log, where no view says it
    key = request.META["HTTP_IDEMPOTENCY_KEY"]
    if not FORMAT.fullmatch(key):
        return refusal(400)
    try:
        row = IdempotentRequest.objects.begin(api_key, key, essence(request), longest())
    except KeyReused:
        return refusal(422)
    except InProgress:
        return refusal(409)
    except IntegrityError:
        return None  # the API key has just been deleted
    return replay(row) if row.is_answered else row


def essence(request: HttpRequest) -> bytes:
    """What two requests have in common if one repeats the other."""
    return f"{request.method} {request.get_full_path()}\n".encode() + request.body


def longest() -> timedelta:
    """How long a request may run before its process must have died."""
    return timedelta(seconds=max(WINDOW_SECONDS, settings.DYNAMO_COMMAND_TIMEOUT) + MARGIN_SECONDS)


def refusal(status: int) -> HttpResponse:
    return JsonResponse(REFUSALS[status], status=status, headers={"Retry-After": "1"} if status == 409 else {})


def replay(row: IdempotentRequest) -> HttpResponse:
    response = HttpResponse(row.body, status=row.status)
    del response.headers["Content-Type"]  # Django's guess
    for name, value in {**row.headers, REPLAYED: "true"}.items():
        response.headers[name] = value
    return response


def end(row: IdempotentRequest, request: Any, response: HttpResponse) -> None:
    """Keep the response, or forget the request; the caller is answered even where that fails."""
    try:
        # A fault of ours after a CALL has left must not have it sent again.
        if response.status_code in NOT_KEPT and not getattr(request, "has_sent", False):
            row.withdraw()
            return
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        row.answer(response.status_code, headers, response.content)
    except Error as error:
        logger.warning("A response could not be kept for who repeats its request: %s", error)


def forget() -> int:
    """Delete a batch of the responses that have been kept long enough; returns how many."""
    return delete_batch(IdempotentRequest.objects.expired())
