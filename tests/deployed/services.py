"""A PostgreSQL and a Redis of the tests' own, which can be killed, frozen, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis

from tests.servers import free_port

START_SECONDS = 30
SUPERVISION_SECONDS = 0.1  # systemd's
POSTGRESQL_VERSIONS = Path("/usr/lib/postgresql")


def postgresql_binaries() -> Path | None:
    """The folder of the newest PostgreSQL on this machine, of which only the clients are on the PATH."""
    server = shutil.which("postgres")
    if server:
        return Path(server).parent
    versions = sorted(POSTGRESQL_VERSIONS.glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    return versions[-1].parent if versions else None


def missing() -> str:
    """Which server program is not on this machine; empty if all are."""
    if postgresql_binaries() is None:
        return "postgres"
    return "" if shutil.which("redis-server") else "redis-server"


@dataclass
class RedisServer:
    """A Redis process that keeps nothing on disk."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(["redis-server", *options], cwd=self.folder, stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.ConnectionError:
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError("Redis did not start.")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """As a crash ends it."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """It keeps its connections and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()


@dataclass
class PostgreSQLServer:
    """A cluster of its own; as root it runs as the user `postgres`, because PostgreSQL refuses root."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        return self.folder / "postgresql"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        binaries = postgresql_binaries()
        assert binaries is not None
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, str(binaries / program), *arguments]
        subprocess.run(command, check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def create(self, *options: str) -> None:
        """Make the cluster, which lets everybody on this machine in; further options are those of initdb."""
        self.data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
            for parent in self.data.parents:  # pytest's folders let only their owner through
                if not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o001)
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", *options)

    def start(self) -> None:
        options = [f"-p {self.port}", "-c listen_addresses=127.0.0.1", "-c unix_socket_directories=", *self.options]
        log = str(self.data / "log.txt")
        self._run("pg_ctl", "-D", str(self.data), "-l", log, "-w", "-t", "60", "-o", " ".join(options), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` as a crash does, `fast` in order."""
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        """All its processes keep their connections and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, number)
        for child in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), number)

    def create_database(self, name: str, template: str = "template1") -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')

    def is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@asynccontextmanager
async def gone(server: PostgreSQLServer) -> AsyncIterator[None]:
    """Stopped, until this is left."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def frozen(server: PostgreSQLServer) -> AsyncIterator[None]:
    """Connected and silent, until this is left."""
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@asynccontextmanager
async def supervised(server: PostgreSQLServer) -> AsyncIterator[None]:
    """Started whenever it does not run, as `Restart=always` has systemd do, until this is left."""
    supervising = asyncio.create_task(supervise(server))
    try:
        yield
    finally:
        supervising.cancel()


async def supervise(server: PostgreSQLServer) -> None:
    while True:
        if not server.is_up():
            with suppress(subprocess.CalledProcessError):
                await asyncio.to_thread(server.start)
        await asyncio.sleep(SUPERVISION_SECONDS)
