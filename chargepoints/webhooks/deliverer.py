"""Delivers events to webhook endpoints: many at the same time, the events of each charge point one after another."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.db import Error
from django.utils import timezone

from .. import metrics
from ..database import Together, in_database
from ..events import body
from ..looks import is_any
from ..models import WebhookDelivery, WebhookEndpoint
from ..models.webhook_delivery import Attempt
from ..tasks import cancel_all, keep_looking
from .client import Answer, Client
from .signing import SecretUnreadable, signatures

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
MAXIMUM_ENDPOINTS = 100
# How long an endpoint is delivered to before others have their turn; requests that were begun end after that.
ROUND_SECONDS = 20
# Requests to one endpoint at the same time, each for another charge point.
AT_ONCE = 10
TAKEN = 200
RECORDED = 50
ENDING_SECONDS = 5
USER_AGENT = "Dynamo-Webhooks/1"

# Of their own: nobody who charges waits behind what is told of it.
_threads = ThreadPoolExecutor(2, thread_name_prefix="database-webhooks")
in_webhook_thread = partial(in_database, threads=_threads)


def record(attempts: list[Attempt]) -> None:
    WebhookDelivery.objects.record(attempts)
    for attempt in attempts:
        if attempt.delivery.ended_at is not None:
            metrics.deliveries.labels(attempt.delivery.state).inc()


class Deliverer:
    """Claims endpoints that something is due for, and sends it to them."""

    def __init__(self) -> None:
        self.client = Client()
        self.recording = Together(record, _threads, RECORDED)
        self.rounds: set[asyncio.Task[None]] = set()
        self.is_ending = False

    async def run(self) -> None:
        """Deliver until cancelled; what is on its way then is given a few seconds."""
        try:
            await keep_looking(self.begin_rounds, LOOK_SECONDS, logger, "webhooks are due")
        finally:
            self.is_ending = True
            await self.end()

    async def begin_rounds(self) -> None:
        if not await is_any(WebhookDelivery.objects.ready_endpoints):
            return
        free = MAXIMUM_ENDPOINTS - len(self.rounds)
        for endpoint in await in_webhook_thread(WebhookDelivery.objects.claim_endpoints, free) if free else ():
            task = asyncio.get_running_loop().create_task(Round(self, endpoint).run())
            self.rounds.add(task)
            task.add_done_callback(self.rounds.discard)

    async def end(self) -> None:
        if self.rounds:
            _, late = await asyncio.wait(self.rounds, timeout=ENDING_SECONDS)
            await cancel_all(late)
        await self.client.close()


class Round:
    """Deliveries to one claimed endpoint, for a while."""

    def __init__(self, deliverer: Deliverer, endpoint: WebhookEndpoint) -> None:
        self.deliverer, self.endpoint = deliverer, endpoint
        self.ends_at = time.monotonic() + ROUND_SECONDS
        self.lanes: dict[int | None, asyncio.Task[None]] = {}
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.is_over = False

    async def run(self) -> None:
        try:
            self.secrets = await in_webhook_thread(self.endpoint.secrets)
            await self.deliver()
        except SecretUnreadable:
            logger.warning("The secret of webhook endpoint %s was sealed with another key", self.endpoint.pk)
            await in_webhook_thread(self.endpoint.pause, WebhookEndpoint.Reason.UNREADABLE)
        except Error as error:
            logger.warning("Webhook endpoint %s: %s", self.endpoint.pk, error)
        except Exception:
            logger.exception("Webhook endpoint %s", self.endpoint.pk)
        finally:
            await self.leave()

    async def leave(self) -> None:
        await cancel_all(self.lanes.values())
        try:
            await asyncio.shield(in_webhook_thread(self.endpoint.release))
        except Error as error:
            logger.warning("Webhook endpoint %s stays claimed for a while: %s", self.endpoint.pk, error)

    def goes_on(self) -> bool:
        return not self.is_over and not self.deliverer.is_ending and time.monotonic() < self.ends_at

    async def deliver(self) -> None:
        """Send what is due until nothing is, or it is others' turn."""
        while True:
            if self.goes_on() and len(self.lanes) <= AT_ONCE:
                busy: Collection[int | None] = [*self.lanes]
                taken = await in_webhook_thread(WebhookDelivery.objects.take, self.endpoint, busy, TAKEN)
                for lane, deliveries in taken.items():
                    self.lanes[lane] = asyncio.get_running_loop().create_task(self.send_all(deliveries))
            if not self.lanes:
                return
            await asyncio.wait(self.lanes.values(), return_when=asyncio.FIRST_COMPLETED)
            for lane in [lane for lane, task in self.lanes.items() if task.done()]:
                self.lanes.pop(lane).result()

    async def send_all(self, deliveries: list[WebhookDelivery]) -> None:
        """Send the events of a charge point, until one of them fails."""
        for delivery in deliveries:
            async with self.slots:
                if not self.goes_on():
                    return
                attempt = await self.send(delivery)
                await self.deliverer.recording.do(attempt)
            self.is_over = self.is_over or not attempt.goes_on
            if not attempt.answer.is_success and not attempt.is_test:
                return

    async def send(self, delivery: WebhookDelivery) -> Attempt:
        started_at, event = timezone.now(), delivery.event
        content = json.dumps(body(event), separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT}
        headers |= signatures(str(event.uuid), int(started_at.timestamp()), content, self.secrets)
        answer: Answer = await self.deliverer.client.post(self.endpoint.url, headers, content)
        metrics.webhook_answered(answer)
        return Attempt(delivery, self.endpoint, started_at, answer)
