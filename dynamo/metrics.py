"""GET /metrics: what Prometheus reads, for this machine or for who has the token. docs/metrics.md explains it."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import Error
from django.db.models import Min
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apikeys import clock
from chargepoints.database import in_database
from chargepoints.models import ChargePoint, OutboxEvent, WebhookDelivery, WebhookEndpoint
from chargepoints.tasks import tick
from ocpp16.metrics import labelled
from ocpp16.models import Command

from .proxies import address_in

SECONDS = 2
LAG_SECONDS = 0.5
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# The headers by which a proxy gives itself away: what comes through one is not from this machine.
FORWARDED = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
THIS_MACHINE = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")

requests = Counter("dynamo_http_requests", "HTTP requests, by route.", ["route", "status"])
request_seconds = Histogram("dynamo_http_request_seconds", "How long HTTP requests took.", ["route"])
unread = Counter("dynamo_http_responses_unread", "Long responses that were cut off: nobody read on.")
lockouts = Counter("dynamo_login_lockouts", "Attempts to log in to the admin that were refused: too many had failed.")
lag = Histogram("dynamo_event_loop_lag_seconds", "How late the event loop is.", buckets=LAG_BUCKETS)

# Of its own, so that a database that hangs takes no thread from the sockets.
_thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")


async def watch_lag() -> None:
    """Measure for as long as the server runs."""
    loop = asyncio.get_running_loop()
    while True:
        due_at = await tick(LAG_SECONDS)
        lag.observe(max(0.0, loop.time() - due_at))


def count_request(request: Any, status: int, seconds: float) -> None:
    """Count an answered request under the route that it found."""
    route = request.resolver_match.route if request.resolver_match else "none"
    labelled(requests, route, str(status)).inc()
    labelled(request_seconds, route).observe(seconds)


disable_created_metrics()  # the time of each counter's birth, which would double what is sent


@never_cache
async def metrics(request: HttpRequest) -> HttpResponse:
    if not may_read(request):
        challenge = {"WWW-Authenticate": "Bearer"} if settings.DYNAMO_METRICS_TOKEN else {}
        return HttpResponse("Not for you.\n", "text/plain", 401 if challenge else 403, headers=challenge)
    shared = await shared_state()
    return HttpResponse(generate_latest(REGISTRY) + generate_latest(shared), CONTENT_TYPE_LATEST)


def may_read(request: HttpRequest) -> bool:
    """Who brings the token; where none is set, this machine, unless a proxy on it asks for somebody else."""
    if token := settings.DYNAMO_METRICS_TOKEN:
        brought = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(brought.encode(), token.encode())
    if settings.DYNAMO_PROXY_ADDRESSES or any(name in request.headers for name in FORWARDED):
        return False
    peer = address_in(request.META["REMOTE_ADDR"])
    return peer is not None and peer.is_loopback and bool(THIS_MACHINE.fullmatch(request.headers.get("Host", "")))


class Shared(Collector):
    """What the database tells, for the most part of all processes together; of one that does not answer, only that."""

    def __init__(self, values: dict[str, float] | None) -> None:
        self.values = values

    def collect(self) -> Iterator[Metric]:
        is_up = int(self.values is not None)
        yield GaugeMetricFamily("dynamo_database_up", "Whether the database answers.", value=is_up)
        for name, value in (self.values or {}).items():
            yield GaugeMetricFamily(name, SHARED[name], value=value)


SHARED = {
    "dynamo_charge_points_online": "Charge points with a live socket on any process.",
    "dynamo_leases_expired": "Charge points whose process died with their socket; nothing has cleared them yet.",
    "dynamo_commands_forgotten": "Commands that nobody waits for any more and nothing has ended yet.",
    "dynamo_outbox_seconds": "How long the oldest event has waited to be published.",
    "dynamo_webhook_lag_seconds": "How long the oldest event has waited for an active endpoint.",
    "dynamo_webhook_endpoints_paused": "Webhook endpoints that were paused because they failed.",
    "dynamo_clock_ahead_seconds": "How far this machine's clock is ahead of the database's.",
}


async def shared_state() -> Any:
    """A Collector of the values in the database."""
    try:
        return Shared(await asyncio.wait_for(in_database(read_shared, threads=_thread), SECONDS))
    except (Error, TimeoutError):
        return Shared(None)


def age(at: datetime | None) -> float:
    """In seconds, by the database's clock; 0 of what is not there."""
    return 0.0 if at is None else max(0.0, (clock.now() - at).total_seconds())


def read_shared() -> dict[str, float]:
    registered = ChargePoint.objects.exclude(channel_name="")
    counts = (
        ChargePoint.objects.online().count(),
        registered.filter(online_until__lte=Now()).count(),
        Command.objects.forgotten().count(),
        age(OutboxEvent.objects.aggregate(at=Min("created_at"))["at"]),
        age(WebhookDelivery.objects.oldest()),
        WebhookEndpoint.objects.exclude(paused_at=None).exclude(paused_reason="requested").count(),
        (timezone.now() - clock.now()).total_seconds(),
    )
    return dict(zip(SHARED, counts, strict=True))
