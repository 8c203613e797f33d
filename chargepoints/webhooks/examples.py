"""What the documentation of webhooks shows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from ..examples import SESSION_STARTED


def request(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(f"{name} request", value=value, request_only=True)


def answer(name: str, value: Any, status: str = "200") -> OpenApiExample:
    return OpenApiExample(name, value=value, response_only=True, status_codes=[status])


_ENDPOINT = {
    "id": "5b8f0c5e-4f3c-4a35-9d5d-0a8c1f7f2a11",
    "url": "https://integrator.example/hooks/dynamo",
    "description": "Billing",
    "events": ["session.started", "session.ended"],
    "mode": "live",
    "status": "active",
    "paused_reason": None,
    "failing_since": None,
    "previous_secret_expires_at": None,
    "created_at": "2024-03-10T12:00:00Z",
}
_SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
_DELIVERY = {
    "id": "b0a3c3f0-32f4-4c58-8a0f-7a2f6a1d9c55",
    "event_id": SESSION_STARTED["id"],
    "event": "session.started",
    "charge_point_id": "CP-SITE42-001",
    "status": "delivered",
    "created_at": "2024-03-10T14:45:01Z",
    "next_attempt_at": None,
    "ended_at": "2024-03-10T14:45:02Z",
    "attempts": [
        {
            "started_at": "2024-03-10T14:45:02Z",
            "status_code": 200,
            "error": None,
            "answer": "ok",
            "duration_ms": 84,
        }
    ],
}
_PENDING = {**_DELIVERY, "status": "pending", "next_attempt_at": "2024-03-10T15:00:00Z", "ended_at": None}
_PAGE = {"total": 1, "page": 1, "per_page": 50}

NEW_ENDPOINT = request("new endpoint", {name: _ENDPOINT[name] for name in ("url", "events", "description")})
CHANGES = request("changes", {"events": ["*"]})
ENDPOINT = answer("endpoint", _ENDPOINT)
PAUSED = answer("paused endpoint", {**_ENDPOINT, "status": "paused", "paused_reason": "requested"})
ENDPOINT_WITH_SECRET = OpenApiExample(
    "endpoint with secret", value={**_ENDPOINT, **_SECRET}, response_only=True, status_codes=["200", "201"]
)
ENDPOINTS = answer("endpoints", {"endpoints": [_ENDPOINT], **_PAGE})
DELIVERIES = answer("deliveries", {"deliveries": [_DELIVERY], **_PAGE})
DELIVERY = answer("delivery", {**_DELIVERY, "body": SESSION_STARTED})
PENDING = answer("pending delivery", _PENDING)
TEST = answer("test", {**_PENDING, "event": "webhook.test", "charge_point_id": None, "attempts": []})
RESEND = request("since", {"since": "2024-03-10T12:00:00Z", "status": "given_up"})
RESENT = answer("resent", {"resent": 17})
