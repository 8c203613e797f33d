"""What is done beside the sockets: duties, of which any number of processes may do a batch at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from django.db import Error
from prometheus_client import Counter

from chargepoints.attention import attention
from chargepoints.database import in_database
from chargepoints.looks import Rows, is_any
from chargepoints.models import ChargePoint, ListingChange, OutboxEvent
from chargepoints.models.event import BATCH as EVENTS
from chargepoints.outbox import publish
from chargepoints.tasks import run_all, tick
from chargepoints.webhooks.deliverer import Deliverer
from ocpp16 import bulk
from ocpp16.models import Command
from ocpp16.reconciliation import infer_stops, match_overtaken_stops
from ocpp16.retention import prune

from . import idempotency

logger = logging.getLogger(__name__)

# A database that was away is asked again this soon.
RETRY_SECONDS = 5
DAY = 24 * 3600

rows = Counter("dynamo_worker_rows", "Rows that were seen to beside the sockets, by duty.", ["duty"])
failures = Counter("dynamo_worker_failures", "Duties beside the sockets that failed and are tried again.", ["duty"])


class Duty(NamedTuple):
    """A row of DUTIES. `batch` claims and does some of the work and returns how much; 0 where nothing is left.

    `waiting` is the manager's method that finds what waits, where that is cheaper to ask than to begin a batch. After a
    batch of less than `full` the rest may wait until it is looked at again: what comes all the time would come singly.
    """

    name: str
    done: str
    seconds: float  # until it is looked at again
    batch: Callable[[], int]
    is_logged: bool = True
    waiting: Rows | None = None
    full: int = 1


DUTIES = (
    Duty("leases", "leases that ran out were ended", 10, ChargePoint.objects.end_leases),
    Duty("commands", "forgotten commands were ended", 15, Command.objects.end_forgotten),
    Duty("stops", "transactions were matched with their stops", 60, match_overtaken_stops),
    Duty("transactions", "forgotten transactions were closed as inferred", 60, infer_stops),
    # Of a full batch, some may be of charge points that are gone, and are not counted.
    Duty(
        "events",
        "events were published",
        0.5,
        publish,
        is_logged=False,
        waiting=OutboxEvent.objects.all,
        full=EVENTS // 2,
    ),
    Duty("lists", "changes of lists of charge points were counted", 10, ListingChange.objects.sum_up),
    Duty("logs", "old rows of logs were deleted", DAY, prune),
    Duty("responses", "responses that were kept for repeated requests were deleted", 3600, idempotency.forget),
)


async def run() -> None:
    """Attend to every duty and deliver webhooks until cancelled, and finish what is in flight then."""
    # A thread for each: a long one must not keep the others waiting.
    threads = ThreadPoolExecutor(len(DUTIES), thread_name_prefix="worker")
    try:
        duties = [attend(duty, threads) for duty in DUTIES]
        await run_all(attention.heed(), bulk.run(), Deliverer().run(), *duties)
    finally:
        await asyncio.to_thread(threads.shutdown)


async def attend(duty: Duty, threads: ThreadPoolExecutor) -> None:
    """Do the duty again and again, through failures of the database and its own."""
    while True:
        seconds = duty.seconds
        try:
            await fulfil(duty, threads)
        except Error as error:
            failures.labels(duty.name).inc()
            logger.warning("Nobody knows how many %s: %s", duty.done, error)
            seconds = min(seconds, RETRY_SECONDS)
        except Exception:
            failures.labels(duty.name).inc()
            logger.exception("Nobody knows how many %s", duty.done)
        await tick(seconds)


async def fulfil(duty: Duty, threads: ThreadPoolExecutor) -> None:
    """Do batches until nothing is left, or too little for another."""
    count, done = 0, duty.full
    while done >= duty.full and (duty.waiting is None or await is_any(duty.waiting)):
        done = await in_database(duty.batch, threads=threads)
        count += done
        rows.labels(duty.name).inc(done)
    if count and duty.is_logged:
        logger.info("%d %s", count, duty.done)
