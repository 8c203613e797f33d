"""A caller of the API inside the process, for tests that need no socket: the whole HTTP stack, but no server."""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.test import Client

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint

ROOT = "/api/v1/ocpp16"
RESOURCES = "/api/v1"


class Api:
    """Acts for one organization with one key."""

    def __init__(self, organization: Organization, scopes: Any = SCOPES, root: str = ROOT, **fields: Any) -> None:
        self.organization, self.root = organization, root
        self.row, self.key = ApiKey.objects.issue(organization, "test", scopes, **fields)
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, query: Any = None, **headers: str) -> Any:
        return self.client.get(self.whole(path), query, headers=self.headers(headers))

    def post(self, name: str, body: Any, **headers: str) -> Any:
        """POST `body`: bytes as they are, anything else as JSON."""
        return self.send("POST", name if name.startswith("/") else f"/{name}", body, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path, b"")

    def send(self, method: str, path: str, body: Any, **headers: str) -> Any:
        content = body if isinstance(body, bytes) else json.dumps(body, cls=DjangoJSONEncoder).encode()
        return self.client.generic(method, self.whole(path), content, "application/json", headers=self.headers(headers))

    def whole(self, path: str) -> str:
        """The path, which may leave out what most have in common."""
        return path if path.startswith("/api/") else self.root + path

    def headers(self, given: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}", **{name.replace("_", "-"): given[name] for name in given}}


def make_api(name: str = "Test", scopes: Any = SCOPES, root: str = ROOT) -> Api:
    return Api(Organization.objects.get_or_create(name=name)[0], scopes, root)


def make_charge_point(organization: Organization, identity: str = "CP-SITE42-001") -> ChargePoint:
    return ChargePoint.objects.provision(organization, identity, None)


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    """The error of a response, which must be that of the contract in every respect."""
    assert response.status_code == status, response.content
    body = response.json()
    assert list(body) == ["error"]
    assert list(body["error"]) == ["code", "message", "details"]
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert isinstance(body["error"]["details"], dict)
    assert response.headers["X-Request-Id"]
    assert response.headers["Content-Type"] == "application/json"
    return body["error"]
