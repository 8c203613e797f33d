"""What operators can watch of events on their way; docs/metrics.md tells which fault shows where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from .webhooks.client import Answer

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

attempts = Counter("dynamo_webhook_attempts", "Requests to webhook endpoints, by what was answered.", ["outcome"])
deliveries = Counter(
    "dynamo_webhook_deliveries", "Events that were delivered to an endpoint, or given up.", ["outcome"]
)
attempt_seconds = Histogram("dynamo_webhook_attempt_seconds", "How long they took.", buckets=SECONDS)


def webhook_answered(answer: Answer) -> None:
    """Count a request under the class of its status, or as `error` where there was none."""
    attempts.labels("error" if answer.status_code is None else f"{answer.status_code // 100}xx").inc()
    attempt_seconds.observe(answer.duration_ms / 1000)
