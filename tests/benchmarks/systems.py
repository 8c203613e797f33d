"""What is loaded: the bare server, and the product's own processes in both of its set-ups."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.deployed.services import PostgreSQLServer, RedisServer
from tests.servers import ROOT, ServerProcess, WorkerProcess, free_port

from . import processes
from .job import Failed, Figures

WORKERS = 2
START_SECONDS = 30
SETTLED, SETTLE_SECONDS = 0.03, 60


def module(name: str) -> list[str]:
    """The command that runs a module of the benchmark."""
    return [sys.executable, "-m", f"{__package__}.{name}"]


class System:
    """A system that runs: where it is reached, and by which processes."""

    urls: list[str]
    http: list[str] = []
    processes: processes.Groups

    def restart(self) -> None:
        """Have its processes begin anew."""

    def drive(self, driver: str, **options: Any) -> Figures:
        """Have it loaded by a process of its own; raises Failed for what the server did not do."""
        where = {"urls": self.urls, "http": self.http, "processes": self.processes}
        job = json.dumps({"driver": driver, "options": options, **where})
        ended = subprocess.run(module("client"), cwd=ROOT, input=job, capture_output=True, text=True)
        if ended.returncode:
            raise Failed((ended.stderr.strip().splitlines() or [f"The client ended with {ended.returncode}."])[-1])
        self.settle()
        return json.loads(ended.stdout)

    def settle(self) -> None:
        """Wait until it has nothing left to do for the last load: its sockets have only just closed."""
        deadline, used = time.monotonic() + SETTLE_SECONDS, self.used()
        while time.monotonic() < deadline:
            time.sleep(0.5)
            before, used = used, self.used()
            if used - before < SETTLED:
                return

    def used(self) -> float:
        return sum(processes.cpu_seconds(self.processes).values())


class Bare(System):
    """One process of the bare server."""

    name = "bare"

    def __init__(self, port: int) -> None:
        self.port = port
        self.urls = [f"ws://127.0.0.1:{port}"]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([*module("bare"), str(self.port)], cwd=ROOT)
        self.processes = {"application": [self.process.pid]}
        deadline = time.monotonic() + START_SECONDS
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", self.port)):
                if time.monotonic() > deadline:
                    raise Failed("The bare server did not start.")
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()


class Product(System):
    """The product as users run it, on a data folder and, in production, on services of its own."""

    def __init__(self, name: str, folder: Path, services: dict[str, str], groups: processes.Groups) -> None:
        self.name, self.folder, self.groups = name, folder, groups
        self.environment = {
            "DYNAMO_NO_BOOTSTRAP": "1",
            "DJANGO_SETTINGS_MODULE": "dynamo.settings",
            "DYNAMO_DATA_DIR": str(folder),
            "DYNAMO_SECRET_KEY": secrets.token_urlsafe(50),
            # The product's own, not the tests'.
            "DYNAMO_COMMAND_TIMEOUT": "",
            "DYNAMO_DATABASE_POOL": "",
            **services,
        }
        self.keys: dict[str, str] = {}
        self.servers: list[ServerProcess] = []
        whole = {**os.environ, **self.environment}
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, env=whole, check=True)
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.writer = subprocess.Popen(module("rows"), cwd=ROOT, env=whole, **pipes)

    def start(self) -> None:
        kinds = [ServerProcess] if not self.groups else [*[ServerProcess] * WORKERS, WorkerProcess]
        self.servers = [
            kind("", self.folder / f"server-{number}.log", self.environment) for number, kind in enumerate(kinds)
        ]
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait()
        ports = [server.port for server in self.servers if not isinstance(server, WorkerProcess)]
        self.urls = [f"ws://127.0.0.1:{port}/ocpp16" for port in ports]
        self.http = [f"http://127.0.0.1:{port}" for port in ports]
        self.processes = {"application": [server.process.pid for server in self.servers], **self.groups}

    def stop(self) -> None:
        for server in self.servers:
            server.process.terminate()
        for server in self.servers:
            server.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def rows(self, function: str, *arguments: Any) -> Any:
        """The result of a function of rows.py, run on this system's database."""
        assert self.writer.stdin is not None
        assert self.writer.stdout is not None
        self.writer.stdin.write(json.dumps([function, *arguments]) + "\n")
        self.writer.stdin.flush()
        return json.loads(self.writer.stdout.readline())

    def key(self, prefix: str) -> str:
        """An API key to the charge points whose identities begin so."""
        if prefix not in self.keys:
            self.keys[prefix] = self.rows("api_key", prefix)
        return self.keys[prefix]


@contextmanager
def bare() -> Iterator[Bare]:
    system = Bare(free_port())
    try:
        yield system
    finally:
        system.stop()


@contextmanager
def embedded(folder: Path) -> Iterator[Product]:
    """SQLite and the layer in memory: one process."""
    with product("embedded", folder, {}, {}) as system:
        yield system


@contextmanager
def production(folder: Path) -> Iterator[Product]:
    """Two workers and the process beside them, on a PostgreSQL and a Redis that do nothing else."""
    with ExitStack() as services:
        database, layer = PostgreSQLServer(folder), RedisServer(folder)
        database.create()
        database.start()
        services.callback(database.stop)
        layer.start()
        services.callback(layer.kill)
        database.create_database("benchmark")
        urls = {"DATABASE_URL": database.url("benchmark"), "REDIS_URL": layer.url}
        postmaster = int((database.data / "postmaster.pid").read_text().splitlines()[0])
        yield services.enter_context(
            product("production", folder, urls, {"postgresql": [postmaster], "redis": [layer.process.pid]})
        )


@contextmanager
def product(name: str, *arguments: Any) -> Iterator[Product]:
    system = Product(name, *arguments)
    try:
        system.start()
        yield system
    finally:
        system.stop()
        system.writer.terminate()
        system.writer.wait()


SETUPS = {"embedded": embedded, "production": production}
