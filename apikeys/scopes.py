"""The scopes that an API key can carry. One never implies another."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError

READ_CHARGE_POINTS = "read:charge_points"
WRITE_CHARGE_POINTS = "write:charge_points"
READ_SESSIONS = "read:sessions"
READ_ANALYTICS = "read:analytics"
READ_BILLING = "read:billing"
WRITE_BILLING = "write:billing"
WRITE_WEBHOOKS = "write:webhooks"
READ_API_KEYS = "read:api_keys"
WRITE_API_KEYS = "write:api_keys"
# What a view requires that is open to every key; no key carries it.
ANY_KEY = "any"

SCOPES = (
    READ_CHARGE_POINTS,
    WRITE_CHARGE_POINTS,
    READ_SESSIONS,
    READ_ANALYTICS,
    READ_BILLING,
    WRITE_BILLING,
    WRITE_WEBHOOKS,
    READ_API_KEYS,
    WRITE_API_KEYS,
)


def validate_scopes(scopes: Any) -> None:
    """Raise ValidationError unless `scopes` is a list of known scopes."""
    unknown = [scope for scope in scopes if scope not in SCOPES] if isinstance(scopes, list) else [scopes]
    if unknown:
        names = ", ".join(str(scope) for scope in unknown)
        raise ValidationError(f"Unknown scope: {names}. Known scopes: {', '.join(SCOPES)}.")
