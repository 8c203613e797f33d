from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand


def count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number of rounds.")
    return int(text)


class Command(BaseCommand):
    help = "Measure what messages and commands cost, beside a server that does nothing. docs/benchmark.md explains it."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        size = parser.add_mutually_exclusive_group()
        size.add_argument("--quick", action="store_const", const="QUICK", dest="size", help="Minutes, not hours.")
        size.add_argument(
            "--tiny", action="store_const", const="TINY", dest="size", help="Show only that it runs; no figure counts."
        )
        parser.add_argument("--json", default="", metavar="FILE", help="Write every round there.")
        parser.add_argument("--svg", default="", metavar="FILE", help="Draw what each load costs there.")
        parser.add_argument("--only", action="append", default=[], metavar="LOAD", help="Loads whose names begin so.")
        parser.add_argument("--setup", action="append", default=[], choices=("embedded", "production"))
        parser.add_argument("--rounds", type=count, help="Rounds of each load; their medians are told.")
        parser.add_argument("--label", default="", help="What the report is called; the version, if not given.")

    def handle(self, *args: Any, size: str | None, rounds: int | None, **options: Any) -> None:
        from tests.benchmarks import benchmark, sizes

        # Told to end, it ends what it started, too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        chosen = getattr(sizes, size or "FULL")
        files = {name: options[name] for name in ("json", "svg")}
        self.stdout.write(
            benchmark.run(
                replace(chosen, rounds=rounds or chosen.rounds),
                setups=options["setup"],
                only=options["only"],
                label=options["label"],
                files=files,
            )
        )
