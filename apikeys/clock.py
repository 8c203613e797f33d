"""The time that all processes share: the database's. That of their machines may differ, and jump."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import connection

# How long the monotonic clock may go on alone.
LOOK_SECONDS = 10
QUESTIONS = {"postgresql": "SELECT statement_timestamp()", "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ')"}


class Look(NamedTuple):
    """What the database's clock showed at a moment of the monotonic clock."""

    moment: float
    time: datetime

    @property
    def age(self) -> float:
        return time.monotonic() - self.moment

    def now(self) -> datetime:
        return self.time + timedelta(seconds=self.age)


_last: Look | None = None


def now() -> datetime:
    """The database's time, to be compared with what expires."""
    return known_now() or refresh()


def known_now() -> datetime | None:
    """The same without asking the database; None where its last answer is too old."""
    last = _last
    return None if last is None or last.age > LOOK_SECONDS else last.now()


def refresh() -> datetime:
    """The database's time, asked for now."""
    global _last
    last = _last = look()
    return last.now()


def written(moment: datetime, digits: str = "seconds") -> str:
    """As the API tells every time: ISO 8601 in UTC, to the second; `digits` are those of `isoformat`."""
    return moment.astimezone(UTC).isoformat(timespec=digits).removesuffix("+00:00") + "Z"


def look() -> Look:
    asked_at = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(QUESTIONS[connection.vendor])
        (told,) = cursor.fetchone()
    # It was read between the question and the answer.
    return Look((asked_at + time.monotonic()) / 2, datetime.fromisoformat(str(told)))
