"""What Schemathesis must not do to the world that it runs in."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

# Its own key, and the charge point that answers, must last.
LASTING = {
    ("POST", "/api/v1/org/api-keys/{id}/revoke"): ("id", os.environ["API_KEY_ID"]),
    ("POST", "/api/v1/org/api-keys/{id}/rotate"): ("id", os.environ["API_KEY_ID"]),
    ("DELETE", "/api/v1/charge-points/{charge_point_id}"): ("charge_point_id", os.environ["CHARGE_POINT_ID"]),
    ("POST", "/api/v1/charge-points/{charge_point_id}/password"): ("charge_point_id", os.environ["CHARGE_POINT_ID"]),
}
LONGEST_WAIT = 1
# Nothing listens there.
RECEIVER = "https://127.0.0.1:9/webhooks"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Keep what must last, waits short, and webhooks on this machine."""
    name, value = LASTING.get((case.method.upper(), case.path), ("", ""))
    if name and str(case.path_parameters[name]) == value:
        case.path_parameters[name] = "0"
    if case.path == "/api/v1/events" and str(case.query.get("wait", "")).isdecimal():
        case.query["wait"] = min(int(case.query["wait"]), LONGEST_WAIT)
    if isinstance(case.body, dict) and str(case.body.get("url", "")).startswith("http"):
        case.body["url"] = RECEIVER
