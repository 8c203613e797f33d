"""Timestamps on the wire."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings
from django.utils.dateparse import parse_datetime

from apikeys.clock import written

EARLIEST_YEAR = 1970


def write(moment: datetime) -> str:
    """UTC with `Z`; in seconds, or in milliseconds where DYNAMO_TIMESTAMP_MILLISECONDS says so."""
    return written(moment, "milliseconds" if settings.DYNAMO_TIMESTAMP_MILLISECONDS else "seconds")


def read(text: str, received_at: datetime) -> tuple[datetime, str]:
    """The moment that a charge point wrote, and what had to be repaired, or ''.

    A time without a zone is UTC; an impossible one (24:00:00, 30 February, year 0001) is when it was received.
    """
    try:
        moment = parse_datetime(text.strip().upper())
    except ValueError:
        moment = None
    if moment is None:
        return received_at, f"impossible time {text[:50]!r}"
    repaired = ""
    if moment.tzinfo is None:
        moment, repaired = moment.replace(tzinfo=UTC), f"time without a zone {text[:50]!r}"
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        return received_at, f"impossible time {text[:50]!r}"
    if moment.year < EARLIEST_YEAR:
        return received_at, f"impossible time {text[:50]!r}"
    return moment, repaired
