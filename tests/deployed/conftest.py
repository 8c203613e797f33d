"""The product as it is deployed: workers as processes, on a PostgreSQL and a Redis that a test may take away."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections

from tests.conftest import Servers
from tests.metrics import Read, moves_of
from tests.servers import STOP_SECONDS, ServerProcess

from .services import PostgreSQLServer, RedisServer, missing

HERE = Path(__file__).parent
WORKERS = 2
TEMPLATE = "migrated"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip without services: these tests are about them, and the embedded run has its own."""
    services = os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")
    reason = "" if services else "needs DATABASE_URL and REDIS_URL"
    if missing():
        reason = f"needs {missing()} on this machine"
    for item in items:
        if reason and HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass
class Deployment:
    """Workers on services; `environment` is what each of them was started with."""

    postgresql: PostgreSQLServer
    redis: RedisServer
    workers: list[ServerProcess]
    environment: dict[str, str]
    logs: Path

    def start(self, count: int) -> None:
        """Start workers, all at once."""
        for process in [self._launch({}) for _ in range(count)]:
            process.wait()

    def stop(self) -> None:
        """End every worker that has not ended, one that does not start or end by itself included."""
        for process in self.workers:
            if process.process.poll() is None:
                process.process.terminate()
        for process in self.workers:
            try:
                process.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.process.kill()

    def worker(self, **environment: str) -> ServerProcess:
        """A further worker, started."""
        process = self._launch(environment)
        process.wait()
        return process

    def _launch(self, environment: dict[str, str]) -> ServerProcess:
        name = str(connection.settings_dict["NAME"])
        log = self.logs / f"worker-{len(self.workers)}.log"
        process = ServerProcess(name, log, {**self.environment, **environment})
        process.launch()
        self.workers.append(process)
        return process


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[PostgreSQLServer]:
    # Not among pytest's folders: each run shuts everybody but its own user out of them, those of other runs included.
    with TemporaryDirectory(prefix="dynamo-postgresql-") as folder:
        server = PostgreSQLServer(Path(folder))
        server.create()
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def template(postgresql_cluster: PostgreSQLServer, django_db_setup: None, django_db_blocker: Any) -> str:
    """The name of a migrated database, to be copied: migrations take longer than most tests."""
    with django_db_blocker.unblock():
        return migrated(postgresql_cluster)


@pytest.fixture(scope="module")
def deployment(
    postgresql_cluster: PostgreSQLServer,
    template: str,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Deployment]:
    """Two workers on services of their own, with the module's ENVIRONMENT if it has one.

    Django's connection in the tests leads to their database meanwhile.
    """
    folder = tmp_path_factory.mktemp("deployment")
    name = request.module.__name__.rpartition(".")[2]
    postgresql_cluster.create_database(name, template)
    with (
        django_db_blocker.unblock(),
        database(postgresql_cluster, name),
        started(RedisServer(folder)) as redis_server,
    ):
        urls = {"DATABASE_URL": postgresql_cluster.url(name), "REDIS_URL": redis_server.url}
        environment = {**urls, "DYNAMO_DATABASE_POOL": ""}  # the product's own, on a PostgreSQL that nobody shares
        environment |= getattr(request.module, "ENVIRONMENT", {})
        made = Deployment(postgresql_cluster, redis_server, [], environment, folder)
        try:
            made.start(WORKERS)
            yield made
        finally:
            made.stop()


def migrated(server: PostgreSQLServer) -> str:
    """The name of a new database with our tables."""
    server.create_database(TEMPLATE)
    with database(server, TEMPLATE):
        call_command("migrate", verbosity=0)
    return TEMPLATE


@contextmanager
def started(server: RedisServer) -> Iterator[RedisServer]:
    """A server that runs, until this is left."""
    try:
        server.start()
        yield server
    finally:
        server.kill()


@contextmanager
def database(server: PostgreSQLServer, name: str) -> Iterator[None]:
    """Lead every connection of this process to that database; they all share one dictionary of settings."""
    settings = connections.settings["default"]
    before = {key: settings[key] for key in ("HOST", "PORT", "NAME", "USER", "PASSWORD")}
    connection.close()
    settings.update(HOST="127.0.0.1", PORT=str(server.port), NAME=name, USER="postgres", PASSWORD="")
    try:
        yield
    finally:
        connection.close()
        settings.update(before)


@pytest.fixture
def servers(transactional_db: None, server_processes: Servers) -> Iterator[Servers]:
    """The running servers, on a database that is emptied after the test, even if that took it away meanwhile."""
    yield server_processes
    connection.close()


@pytest.fixture
def moved(deployment: Deployment, servers: Servers) -> Read:
    """By how much the two workers together have moved a metric in this test, as in tests/metrics.py."""
    return moves_of(deployment.workers[:WORKERS])


@pytest.fixture(scope="module")
def server_processes(deployment: Deployment) -> Servers:
    """HTTP is asked on one worker, charge points connect to the other."""
    return Servers(deployment.workers[0], deployment.workers[1])
