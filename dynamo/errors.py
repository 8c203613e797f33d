"""The error envelope: the one place that turns exceptions into bytes on every path under /api/."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from apikeys.authentication import find_keys

from .paths import child

logger = logging.getLogger(__name__)

# What a client can make us tell at once: an answer many times as long as its question would be a weapon.
MAXIMUM_PROBLEMS = 100

CODES = {
    400: "validation_error",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    412: "precondition_failed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    500: "internal_error",
    503: "service_unavailable",
}
MESSAGES = {
    400: "The request is malformed.",
    404: "There is nothing at this address.",
    412: "It is not what If-Match names any more.",
    413: "The body is larger than 1 MiB.",
    500: "Something went wrong on our side. The X-Request-Id of this response finds it in the log.",
    503: "The database is not available; try again shortly.",
}


def envelope(code: str, message: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": details or {}}}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's EXCEPTION_HANDLER: every exception of an API view becomes an envelope.

    An APIException may bring `code`, `details` (an object) and `headers` of its own.
    """
    if isinstance(error, exceptions.ValidationError):
        return invalid(dict(islice(flatten(error.detail), MAXIMUM_PROBLEMS)))
    if isinstance(error, exceptions.APIException):
        return refused(error)
    status = status_of(error)
    if status >= 500:
        logger.error("%s: request %s failed", status, request_id(context["request"]), exc_info=error)
    return Response(envelope(CODES[status], MESSAGES.get(status, "Not allowed.")), status=status)


def invalid(details: dict[str, list[str]]) -> Response:
    first, problems = next(iter(details.items()))
    message = f"{first}: {problems[0]}"
    if len(details) > 1:
        message = f"{len(details)} fields are missing or invalid: {', '.join(list(details)[:10])}."
    return Response(envelope(CODES[400], message, details), status=400)


def refused(error: exceptions.APIException) -> Response:
    code = getattr(error, "code", "") or CODES[error.status_code]
    headers = dict(getattr(error, "headers", {}))
    if challenge := getattr(error, "auth_header", ""):
        headers["WWW-Authenticate"] = challenge
    body = envelope(code, str(error.detail), getattr(error, "details", {}))
    return Response(body, status=error.status_code, headers=headers)


def status_of(error: BaseException | None) -> int:
    if isinstance(error, Http404):
        return 404
    if isinstance(error, PermissionDenied):
        return 403
    if isinstance(error, RequestDataTooBig):
        return 413
    return 503 if isinstance(error, OperationalError | InterfaceError) else 500


def flatten(detail: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """DRF's nested error detail as (path, messages), with paths such as `payload.key[1]`."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from flatten(inner, path if name == api_settings.NON_FIELD_ERRORS_KEY else child(path, name))
    elif isinstance(detail, list) and detail and all(isinstance(inner, str) for inner in detail):
        yield path, [str(inner) for inner in detail]
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            yield from flatten(inner, f"{path}[{index}]")


def request_id(request: Any) -> str:
    return getattr(request, "request_id", "")


class UnknownAddress(APIView):
    """404 in the envelope for every address under /api/ that is none, by any method."""

    authentication_classes = ()
    permission_classes = ()
    schema = None

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        # Whoever the caller is, but a key that looks for addresses uses up its rate.
        find_keys([request._request])
        self.check_throttles(request)
        raise Http404


def is_api(request: HttpRequest) -> bool:
    return request.path_info == "/api" or request.path_info.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400, for what fails before a view is found."""
    if not is_api(request):
        return defaults.bad_request(request, exception)
    status = 413 if isinstance(exception, RequestDataTooBig) else 400
    return JsonResponse(envelope(CODES[status], MESSAGES[status]), status=status)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500, called while it handles the exception, whose traceback it logs."""
    status = status_of(sys.exception())
    if is_api(request):
        return JsonResponse(envelope(CODES[status], MESSAGES[status]), status=status)
    return defaults.server_error(request) if status == 500 else HttpResponse(MESSAGES[status], status=status)
