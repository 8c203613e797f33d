from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.middleware.common import CommonMiddleware
from django.utils.decorators import sync_and_async_middleware

from apikeys.deprecation import deprecation_of
from apikeys.key_texts import KEY_STARTS
from ocpp16 import log_fields

from .errors import is_api
from .headers import BARE, HEADERS
from .metrics import count_request

logger = logging.getLogger("dynamo.access")

# Asked from inside, by address and without TLS.
PROBES = ("/livez", "/readyz", "/metrics")
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,100}")


def sane_request_id(given: str) -> str:
    """The caller's own request id if it is one that logs and headers can hold, and no key, else a new one."""
    is_sane = SANE_REQUEST_ID.fullmatch(given) and not any(start in given for start in KEY_STARTS)
    return given if is_sane else str(uuid.uuid4())


@sync_and_async_middleware
def request_id(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Give every request an id, the caller's own if it sent a sane one: in X-Request-Id, and on its log lines."""
    if iscoroutinefunction(get_response):

        async def handle(request: HttpRequest) -> HttpResponse:
            with identified(request) as answered:
                return answered(await get_response(request))

        return handle

    def handle_in_thread(request: HttpRequest) -> HttpResponse:
        with identified(request) as answered:
            return answered(get_response(request))

    return handle_in_thread


@contextmanager
def identified(request: Any) -> Iterator[Callable[[HttpResponse], HttpResponse]]:
    """Name the request while it is handled; yields what is to be done with its response."""
    request.request_id = sane_request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
    started_at = time.monotonic()

    def answered(response: HttpResponse) -> HttpResponse:
        response.headers["X-Request-Id"] = request.request_id
        is_of_api = is_api(request)
        for name, value in (BARE if is_of_api else HEADERS).items():
            response.setdefault(name, value)
        for told in (getattr(request, "allowance", None), deprecation_of(request)):
            if told is not None:
                for name, value in told.headers().items():
                    response.headers[name] = value
        seconds = time.monotonic() - started_at
        count_request(request, response.status_code, seconds)
        if is_of_api:
            note(request, response.status_code, seconds)
        return response

    with log_fields.bound(request_id=request.request_id):
        yield answered


def note(request: Any, status: int, seconds: float) -> None:
    """Log who asked for what; never the query, where a caller may have put a key."""
    fields = {
        "method": request.method,
        "path": request.path,
        "status": status,
        "duration_ms": round(seconds * 1000),
    }
    api_key = getattr(request, "auth", None)
    if api_key is not None:
        fields |= {"key": api_key.prefix, "organization": api_key.organization.name}
    logger.info("answered", extra={"fields": fields})


class HostMiddleware(CommonMiddleware):
    """Refuses requests for other hosts than ours, but for probes."""

    def process_request(self, request: HttpRequest) -> Any:
        return None if request.path in PROBES else super().process_request(request)
