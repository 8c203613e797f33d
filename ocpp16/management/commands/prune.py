from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from ocpp16.retention import delete_batch, outdated


def days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 36_500:
        raise ArgumentTypeError(f"{text!r} is no number of days between 1 and 36500.")
    return int(text)


class Command(BaseCommand):
    help = "Delete logs older than the retention. Transactions and meter values are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        retention = settings.DYNAMO_RETENTION_DAYS
        parser.add_argument("--days", type=days, default=retention, help=f"Keep this many days ({retention}).")

    def handle(self, *args: Any, days: int, **options: Any) -> None:
        for rows in outdated(days):
            count = 0
            while deleted := delete_batch(rows):
                count += deleted
            self.stdout.write(f"{rows.model._meta.verbose_name_plural}: {count} deleted")
