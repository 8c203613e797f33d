from __future__ import annotations

from typing import Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from .models import ApiKey
from .scopes import ANY_KEY


class ScopeMissing(PermissionDenied):
    """403 that names the scope which the key lacks."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"The API key lacks the scope {scope}.")
        self.details = {"required_scope": scope}


class CommandForbidden(PermissionDenied):
    """403 that names the commands that the key is limited to."""

    def __init__(self, api_key: ApiKey, action: str) -> None:
        super().__init__(f"The API key may not send {action}.")
        self.details = {"command": action, "allowed_commands": api_key.allowed_commands}


def permit_command(api_key: ApiKey, action: str) -> None:
    """Raise CommandForbidden unless the key may send this action of OCPP."""
    if not api_key.may_send(action):
        raise CommandForbidden(api_key, action)


class HasScope(BasePermission):
    """Lets a key in whose scopes hold the view's `required_scope`; a view that names none lets nobody in.

    A view whose methods differ has a dictionary of them by method. Some require `further_scopes` besides.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        scopes = required_scopes(request, view)
        if not scopes or not isinstance(request.auth, ApiKey):
            return False
        for scope in scopes:
            if scope != ANY_KEY and scope not in request.auth.scopes:
                raise ScopeMissing(scope)
        return True


def required_scopes(request: Request, view: Any) -> tuple[str, ...]:
    """All that a key must carry for this request; nothing where no key will do."""
    scope = getattr(view, "required_scope", None)
    if isinstance(scope, dict):
        scope = scope_of_method(scope, request, view)
    return () if scope is None else (scope, *getattr(view, "further_scopes", ()))


def scope_of_method(scopes: dict[str, str], request: Request, view: Any) -> str:
    """What the method requires; one that the view does not name it does not have."""
    method = "GET" if request.method == "HEAD" else str(request.method)
    if method not in scopes:
        view.http_method_not_allowed(request)
    return scopes[method]
