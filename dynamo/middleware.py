from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,100}")


def sane_request_id(given: str) -> str:
    """The caller's own request id if it is one that logs and headers can hold, else a new one."""
    return given if SANE_REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


@sync_and_async_middleware
def request_id(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give every request an id, the caller's own if it sent a sane one, and return it as X-Request-Id."""

    def identify(request: HttpRequest) -> str:
        request.request_id = sane_request_id(request.headers.get("X-Request-Id", ""))  # type: ignore[attr-defined]
        return request.request_id  # type: ignore[attr-defined]

    if iscoroutinefunction(get_response):

        async def handle(request: HttpRequest) -> HttpResponse:
            identity = identify(request)
            response = await get_response(request)
            response.headers["X-Request-Id"] = identity
            return response

        return handle

    def handle_in_thread(request: HttpRequest) -> HttpResponse:
        identity = identify(request)
        response = get_response(request)
        response.headers["X-Request-Id"] = identity
        return response

    return handle_in_thread
