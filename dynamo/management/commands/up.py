from __future__ import annotations

import asyncio
import json
from argparse import ArgumentParser, BooleanOptionalAction
from collections.abc import Callable, Coroutine
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chargepoints.database import in_database
from chargepoints.models import ChargePoint
from dynamo import demo, first_start, worker
from dynamo.claims import claim_services, refuse_debug
from dynamo.reachability import require_services
from dynamo.server import PortInUse, check_port, serve
from ocpp16.sandbox import Sandbox

from .serve import add_address_arguments

FLEET_SECONDS = 20
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Command(BaseCommand):
    help = "Prepare everything that is missing, then run the server; on the first start with a simulated fleet."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_address_arguments(parser)
        parser.add_argument(
            "--demo", action=BooleanOptionalAction, help="Run simulated charge points beside the server."
        )

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        try:
            check_port(host, port)
            refuse_debug(host)
            require_services()
            claim_services()
            self.run(host, port, options["demo"])
        except PortInUse as error:
            raise CommandError(str(error)) from None

    def run(self, host: str, port: int, wants_demo: bool | None) -> None:
        address = url_host(host, port)
        self.migrate()
        is_first = self.make_admin()
        made = self.make_demo(wants_demo or (wants_demo is None and is_first))
        url = f"ws://{address}/ocpp16"
        beside: list[Callable[[], Coroutine[Any, Any, None]]] = [worker.run, Sandbox(url).run]
        if wants_demo is not False and demo.exists():
            beside.append(lambda: demo.run_fleet(url))
        if made is not None:
            beside.append(lambda: self.invite(address, made))
        serve(host, port, on_ready=lambda: self.print_addresses(address), beside=beside)

    def migrate(self) -> None:
        count = first_start.migrate()
        if count:
            self.say(f"Prepared the database ({count} migrations).")

    def make_admin(self) -> bool:
        password = first_start.make_admin()
        if password:
            # At once: whatever fails from here on, nobody will be able to ask for it again.
            self.say(f"Admin user: {first_start.ADMIN}   password: {password}   (shown only this once)")
        return bool(password)

    def make_demo(self, wanted: bool) -> demo.Demo | None:
        made = demo.provision() if wanted else None
        if made is not None:
            self.say(f"Demo: {made.organization} with {len(made.identities)} simulated charge points")
            self.say(f"API key: {made.api_key}   (shown only this once)")
        return made

    def print_addresses(self, address: str) -> None:
        self.say("")
        self.say(f"Admin          http://{address}/admin/")
        self.say(f"API reference  http://{address}/api/docs   (first steps: docs/api.md)")
        self.say(f"Charge points  ws://{address}/ocpp16/IDENTITY   (subprotocol ocpp1.6)")
        self.say("Ctrl-C ends it.")

    async def invite(self, address: str, made: demo.Demo) -> None:
        """Print a command that will work: once its charge point can be reached."""
        identity = made.identities[0]
        online = ChargePoint.objects.filter(identity=identity).online()
        for _ in range(FLEET_SECONDS * 5):
            if await in_database(online.exists):
                break
            await asyncio.sleep(0.2)
        body = json.dumps({"charge_point_id": identity, "id_tag": made.id_tag})
        self.say(f"\nStart charging at {identity}:\n")
        self.say(
            f"curl -X POST http://{address}/api/v1/ocpp16/remote_start_transaction"
            f" -H 'Authorization: Bearer {made.api_key}' -H 'Content-Type: application/json' -d '{body}'\n"
        )

    def say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def url_host(host: str, port: int) -> str:
    """The address as it stands in a URL on this machine."""
    reachable = EVERYWHERE.get(host, host)
    return f"[{reachable}]:{port}" if ":" in reachable else f"{reachable}:{port}"
