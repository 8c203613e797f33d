from __future__ import annotations

import asyncio
import contextlib
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chargepoints.attention import attention
from chargepoints.tasks import run_all
from ocpp16.sandbox import Sandbox
from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.fleet import run_fleet
from ocpp16.simulator.makes import MAKES
from ocpp16.simulator.scenarios import SCENARIOS


class Command(BaseCommand):
    help = (
        "Run simulated charge points against any OCPP 1.6-J central system until Ctrl-C. With --count N the identities "
        "are IDENTITY-1 to IDENTITY-N, of five makes in turn; the central system must know each. With --sandbox those "
        "that POST /api/v1/simulator/charge-points made in our own database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--url", required=True, help="without the identity: ws://127.0.0.1:8000/ocpp16")
        who = parser.add_mutually_exclusive_group(required=True)
        who.add_argument("--identity")
        who.add_argument("--sandbox", action="store_true", help="those of the database, now and later")
        parser.add_argument("--password", help="for HTTP Basic authentication")
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("--scenario", choices=SCENARIOS, default="live")
        parser.add_argument("--make", choices=[make.vendor for make in MAKES], help="default: each in turn")
        parser.add_argument("--id-tag", action="append", default=[], help="of a driver of the simulation; repeatable")
        parser.add_argument(
            "--speed",
            type=float,
            default=1.0,
            help="drivers, batteries and internal delays go this many times faster; times, power and energy on the "
            "wire stay true to the clock",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["url"].startswith(("ws://", "wss://")):
            raise CommandError("--url must begin with ws:// or wss://.")
        if options["count"] < 1 or not 0.01 <= options["speed"] <= 1000:
            raise CommandError("--count must be at least 1, and --speed between 0.01 and 1000.")
        with contextlib.suppress(KeyboardInterrupt, asyncio.CancelledError):
            asyncio.run(self.run_sandbox(options["url"]) if options["sandbox"] else self.simulate(options))

    async def run_sandbox(self, url: str) -> None:
        """Run the sandbox until SIGINT or SIGTERM; either lets it store what must outlast it."""
        running = asyncio.current_task()
        assert running is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        self.stdout.write("Dynamo simulates the charge points of the sandbox.")
        self.stdout.flush()
        await run_all(attention.heed(), Sandbox(url).run())

    async def simulate(self, options: dict[str, Any]) -> None:
        count, identity = options["count"], options["identity"]
        identities = [identity] if count == 1 else [f"{identity}-{number}" for number in range(1, count + 1)]
        charge_points = [self.charge_point(name, index, options) for index, name in enumerate(identities)]
        await run_fleet([(charge_point, options["scenario"]) for charge_point in charge_points])

    def charge_point(self, identity: str, index: int, options: dict[str, Any]) -> ChargePoint:
        wanted = [make for make in MAKES if options["make"] in (None, make.vendor)]
        return ChargePoint(
            options["url"],
            identity,
            password=options["password"],
            make=wanted[index % len(wanted)],
            id_tags=options["id_tag"],
            speed=options["speed"],
            on_event=self.print_event,
        )

    def print_event(self, identity: str, event: str) -> None:
        self.stdout.write(f"{identity} {event}")
        self.stdout.flush()
