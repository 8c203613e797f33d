"""How the body of an answer travels: not at all where the caller has it already, compressed where that is worth it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import get_conditional_response, set_response_etag

from .errors import CODES, MESSAGES, envelope

READS = ("GET", "HEAD")
# Below this, compressing takes longer than it saves.
COMPRESSED_FROM = 1024


def pass_on(request: HttpRequest) -> Any:
    """Nothing: of the middleware only what it does to a response is used."""


gzip = GZipMiddleware(pass_on)  # type: ignore[arg-type]


def is_plain(request: HttpRequest, response: Any) -> bool:
    """Whether `prepare` would leave the answer as it is; one that is made while it is sent is left so."""
    return response.streaming or (request.method not in READS and len(response.content) < COMPRESSED_FROM)


def prepare(request: HttpRequest, response: Any) -> Any:
    """The answer as it is sent: a read has an ETag, and is 304 where the caller names that; a long body is gzipped."""
    if is_plain(request, response):
        return response
    # HEAD to a file that is made while it is sent is answered with headers alone: they name no content.
    if request.method in READS and response.status_code == 200 and response.content:
        set_response_etag(response)
        response = get_conditional_response(request, etag=response.headers["ETag"], response=response)
        if response.status_code == 412:
            response = JsonResponse(envelope(CODES[412], MESSAGES[412]), status=412)
    return response if len(response.content) < COMPRESSED_FROM else gzip.process_response(request, response)
