from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema

from .permissions import required_scopes
from .scopes import ANY_KEY

DESCRIPTION = "An API key: `dyn_live_…`, or `dyn_test_…` for simulated charge points only."


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """Tells the OpenAPI schema of the two headers that carry a key, either of which will do."""

    target_class = "apikeys.authentication.ApiKeyAuthentication"
    name = ["bearer", "apiKey"]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:
        return [
            {"type": "http", "scheme": "bearer", "description": DESCRIPTION},
            {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": DESCRIPTION},
        ]

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        # OpenAPI 3.1 lets the roles of any scheme be named, not only of OAuth's.
        scopes = [scope for scope in required_scopes(auto_schema.view.request, auto_schema.view) if scope != ANY_KEY]
        return [{"bearer": scopes}, {"apiKey": scopes}]
