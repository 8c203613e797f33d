"""Server processes under test: the product's own `serve`, on the test database."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from django.conf import settings

START_SECONDS = 60
STOP_SECONDS = 20
ROOT = Path(__file__).resolve().parent.parent
# Short, so that tests of timeouts are.
COMMAND_TIMEOUT = 2.0


# Below those that the kernel gives to whoever connects: one of them could be taken before the server listens.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class ServerProcess:
    """One process of the product."""

    database_name: str
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def start(self) -> None:
        """Start and wait until it serves."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        self.port = self.port or free_port()
        environment = {
            **os.environ,
            "DYNAMO_NO_BOOTSTRAP": "1",
            "DYNAMO_COMMAND_TIMEOUT": str(COMMAND_TIMEOUT),
            "DJANGO_SETTINGS_MODULE": "tests.server_settings",
            "TEST_DATABASE_NAME": self.database_name,
            # One of its own: on SQLite a data folder serves one server.
            "DYNAMO_SECRET_KEY": settings.SECRET_KEY,
            # PostgreSQL has a hundred connections as it comes, for all test processes and their servers.
            "DYNAMO_DATABASE_POOL": "6",
            "DYNAMO_DATA_DIR": str(self.log.with_suffix(f".{self.port}")),
            **self.environment,
        }
        command = [sys.executable, "manage.py", *self.arguments]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    @property
    def arguments(self) -> list[str]:
        return ["serve", "--host", "127.0.0.1", "--port", str(self.port)]

    def wait(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.is_ready():
                return
            time.sleep(0.05)
        if self.process.poll() is None:
            self.process.kill()
        raise RuntimeError(f"The server did not start:\n{self.log.read_text()}")

    def is_ready(self) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}/livez").status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@dataclass
class WorkerProcess(ServerProcess):
    """One process of what is done beside the sockets; `listens` has it serve its metrics."""

    listens: bool = False

    @property
    def arguments(self) -> list[str]:
        return ["worker", "--port", str(self.port)] if self.listens else ["worker"]

    def is_ready(self) -> bool:
        return "Dynamo works beside the sockets." in self.log.read_text()


@contextmanager
def running(server: ServerProcess) -> Iterator[ServerProcess]:
    """It serves, until this is left."""
    server.start()
    try:
        yield server
    finally:
        server.stop()
