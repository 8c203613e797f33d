from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dynamo import worker
from dynamo.claims import claim_services, refuse_debug
from dynamo.reachability import is_alone, require_migrations, require_services
from dynamo.server import PortInUse, serve


def port_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text!r} is no port between 1 and 65535.")
    return int(text)


def add_address_arguments(parser: ArgumentParser, port: int | None = 8000) -> None:
    """--host and --port; without a default port, a process listens only if it is given one."""
    parser.add_argument("--host", default="127.0.0.1", help="The address to listen on; 0.0.0.0 for all of IPv4.")
    parser.add_argument("--port", default=port, type=port_number)


class Command(BaseCommand):
    help = "Run the server alone: no set-up, no demo. For containers and further workers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_address_arguments(parser)

    def handle(self, *args: Any, host: str, port: int, **options: Any) -> None:
        refuse_debug(host)
        require_services()
        claim_services()
        require_migrations()
        # Where no process can work beside this one, it does that work too.
        beside = [worker.run] if is_alone() else []
        try:
            serve(host, port, on_ready=lambda: self.stdout.write(f"Dynamo listens on {host}:{port}."), beside=beside)
        except PortInUse as error:
            raise CommandError(str(error)) from None
