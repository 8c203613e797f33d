from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand

from dynamo import worker
from dynamo.claims import claim_services
from dynamo.reachability import require_migrations, require_services
from dynamo.server import EXIT_SECONDS, close_pools, end_within


class Command(BaseCommand):
    help = "Do what is done beside the sockets, where several processes serve. `up` does it itself."

    def handle(self, *args: Any, **options: Any) -> None:
        require_services()
        claim_services()
        require_migrations()
        asyncio.run(self.work())
        close_pools()

    async def work(self) -> None:
        """Work until SIGINT or SIGTERM."""
        working = asyncio.create_task(worker.run())

        def end() -> None:
            end_within(EXIT_SECONDS)
            working.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        self.stdout.write("Dynamo works beside the sockets.")
        self.stdout.flush()
        with suppress(asyncio.CancelledError):
            await working
