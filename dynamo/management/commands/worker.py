from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dynamo import worker
from dynamo.claims import claim_services, refuse_debug
from dynamo.reachability import require_migrations, require_services
from dynamo.server import EXIT_SECONDS, PortInUse, close_pools, end_within, serve

from .serve import add_address_arguments


class Command(BaseCommand):
    help = "Do what is done beside the sockets, where several processes serve. `up` does it itself."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_address_arguments(parser, port=None)

    def handle(self, *args: Any, host: str, port: int | None, **options: Any) -> None:
        refuse_debug(host)
        require_services()
        claim_services()
        require_migrations()
        if port is None:
            asyncio.run(self.work())
            close_pools()
            return
        try:
            serve(host, port, "dynamo.probes.application", on_ready=self.tell, beside=[worker.run])
        except PortInUse as error:
            raise CommandError(str(error)) from None

    async def work(self) -> None:
        """Work until SIGINT or SIGTERM."""
        working = asyncio.create_task(worker.run())

        def end() -> None:
            end_within(EXIT_SECONDS)
            working.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        self.tell()
        with suppress(asyncio.CancelledError):
            await working

    def tell(self) -> None:
        self.stdout.write("Dynamo works beside the sockets.")
        self.stdout.flush()
