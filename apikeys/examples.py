"""What the API's documentation shows of keys."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

RIGHTS: dict[str, Any] = {
    "scopes": ["read:charge_points", "write:charge_points"],
    "allowed_commands": ["RemoteStartTransaction", "RemoteStopTransaction"],
    "allowed_charge_points": ["CP-SITE42-001", "CP-SITE42-002"],
    "allowed_addresses": ["203.0.113.0/24", "2001:db8:42::/48"],
    "requests_per_minute": 600,
    "expires_at": "2030-12-31T23:59:59Z",
}
ROW: dict[str, Any] = {
    "id": 42,
    "name": "Portal",
    "prefix": "dyn_live_Zk3q8WfA",
    "mode": "live",
    "state": "active",
    **RIGHTS,
    "created_at": "2026-03-10T15:00:00Z",
    "last_used_at": None,
    "rotated_at": None,
    "revoked_at": None,
}

NEW_API_KEY = OpenApiExample("new api_key", request_only=True, value={"name": "Portal", "mode": "live", **RIGHTS})
API_KEY = OpenApiExample(
    "issued api_key", response_only=True, status_codes=["201"], value={"key": "dyn_live_Zk3q8WfA…", **ROW}
)
KEY = OpenApiExample("api_key", response_only=True, value=ROW)
ROTATION = OpenApiExample("rotation", request_only=True, value={"overlap_seconds": 86_400})
API_KEYS = OpenApiExample(
    "api_keys", response_only=True, value={"api_keys": [ROW], "total": 1, "page": 1, "per_page": 50}
)
ME = OpenApiExample(
    "me",
    response_only=True,
    value={"organization": "Acme Charging", "name": "Portal", "prefix": "dyn_live_Zk3q8WfA", "mode": "live", **RIGHTS},
)
