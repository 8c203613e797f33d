from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from .models import ApiKey
from .rates import count_requests

# One sentence for every reason, so that a refusal tells nothing about keys that exist.
REFUSED = "Missing or invalid API key."


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY` or `X-API-Key: KEY`; the key is `request.auth`.

    Both headers with the same key are fine; with different keys the request is refused, because it would be a
    guess for whom it acts. Another scheme than Bearer is left to whatever stands in front of the server.
    """

    def authenticate(self, request: Request) -> tuple[Any, ApiKey]:
        find_keys([request._request])
        api_key = request._request.found_key  # type: ignore[attr-defined]
        if api_key is None:
            raise AuthenticationFailed(REFUSED)
        api_key.record_use()
        return AnonymousUser(), api_key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def given_key(request: Request | HttpRequest) -> str:
    """The key that the headers hold, '' for none and for two that differ."""
    keys = {key for key in (bearer_token(request), request.META.get("HTTP_X_API_KEY", "").strip()) if key}
    return keys.pop() if len(keys) == 1 else ""


def find_keys(requests: Iterable[HttpRequest]) -> None:
    """Look up the keys of many requests at once, whoever asks first for each, and count the requests of each key."""
    asking: list[Any] = [request for request in requests if not hasattr(request, "found_key")]
    found = ApiKey.objects.find_all({given_key(request) for request in asking})
    for request in asking:
        request.found_key = admitted(found.get(given_key(request)), request)
    count_requests(asking)


def admitted(api_key: ApiKey | None, request: HttpRequest) -> ApiKey | None:
    """The key, unless it must not come from there: a stolen one tells nothing, not even that it is one."""
    if api_key is None or not api_key.may_come_from(request.META.get("REMOTE_ADDR", "")):
        return None
    return api_key


def bearer_token(request: Request | HttpRequest) -> str:
    """The token of an Authorization header of scheme Bearer, in any case (RFC 9110 section 11.1), or ''."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
