"""Fixtures for everybody: real server processes, charge points on real sockets, organizations and keys."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpcore2
import httpx2
import hypothesis
import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.backends.signals import connection_created
from django.test import TransactionTestCase

from apikeys import clock

from .charge_point import ChargePointClient
from .databases import commit_in_memory, spare_the_disk
from .scheduling import Scheduler, order, unit
from .servers import ServerProcess, running

# A shell's background job ignores SIGINT, and so would every process that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Tests talk to servers asynchronously and look into the database between; there is no loop to block.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
# A loaded machine is no fault of what is tried on it.
unhurried: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("unhurried", hypothesis.settings.default, **unhurried)
hypothesis.settings.load_profile("unhurried")
read_authorities = httpcore2.default_ssl_context


@functools.cache
def authorities(file: str | None, **options: Any) -> Any:
    return read_authorities(**options)


# Every client would read the certificates of all authorities again: longer than most tests take.
httpcore2.default_ssl_context = lambda **options: authorities(os.environ.get("SSL_CERT_FILE"), **options)

_numbers = itertools.count(1)
# Of tasks, each of which has its own: nobody closes it, and it is a part of cycles.
_opened: list[Any] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="Run the tests of faults with their full counts: hours.")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For the whole suite one more than two cores, since tests wait a third of their time; else this process alone."""
    return 3 if config.args_source is pytest.Config.ArgsSource.TESTPATHS else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduler:
    return Scheduler(config, log)


def pytest_collection_finish() -> None:
    """What has been imported is never garbage."""
    gc.collect()
    gc.freeze()


@connection_created.connect
def note_opened(connection: Any, **_: Any) -> None:
    with suppress(RuntimeError):  # outside of tasks
        asyncio.get_running_loop()
        _opened.append(connection)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Close the connections of the test's tasks, for PostgreSQL has a hundred as it comes."""
    try:
        return (yield)
    finally:
        while _opened:
            if (opened := _opened.pop().connection) is not None:
                opened.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: order(item.nodeid))
    for item in items:
        if unit(item.nodeid) == "heavy":
            item.add_marker("heavy")
        if os.environ.get("DATABASE_URL") and item.get_closest_marker("without_services") and not uses_database(item):
            item.add_marker(pytest.mark.skip(reason="knows nothing of services; unset DATABASE_URL"))


def uses_database(item: pytest.Item) -> bool:
    return not {"db", "transactional_db"}.isdisjoint(item.fixturenames)


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`scale(5, 200)` is 5, and with --full 200."""
    return lambda usual, full: full if request.config.getoption("--full") else usual


@dataclass
class Servers:
    """Where HTTP is asked and where charge points connect: one process, or two where a channel layer spans them."""

    http: ServerProcess
    charge_points: ServerProcess

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.charge_points.port}/ocpp16"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Without the pool: a connection belongs to its asyncio task, and no test gives back those of its tasks."""
    connection.settings_dict["OPTIONS"].pop("pool", None)
    spare_the_disk(connection.settings_dict)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock():
            commit_in_memory(connection)


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> None:
    """Empties the database in milliseconds after a test that committed."""
    # Of what migrations write, this comes from the code alone: to write it again took longer than most tests.
    kept = {"django_content_type", "auth_permission"}
    # Without constraints: what a server writes of a charge point is committed before that can be deleted, but perhaps
    # after its own table was emptied.
    last = {"ocpp16_message", "chargepoints_outboxevent"}
    tables = set(connection.introspection.django_table_names(include_views=False)) - kept
    # TRUNCATE makes new files for all tables: 0.2 seconds. Constraints are looked at only at the commit.
    deletes = [
        f"DELETE FROM {connection.ops.quote_name(table)}"
        for table in sorted(tables, key=lambda table: (table in last, table))
    ]

    def flush() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            for delete in deletes:
                cursor.execute(delete)

    def patient(_: Any) -> None:
        # A server's last writes may have met it.
        for _ in range(4):
            with suppress(OperationalError, IntegrityError):
                return flush()
        return flush()

    TransactionTestCase._fixture_teardown = patient


@pytest.fixture(scope="session")
def server_processes(own_threads: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    name = str(connection.settings_dict["NAME"])
    count = 2 if os.environ.get("REDIS_URL") else 1
    logs = tmp_path_factory.mktemp("servers")
    processes = [ServerProcess(name, logs / f"server-{number}.log") for number in range(count)]
    for process in processes:
        process.start()
    yield Servers(processes[0], processes[-1])
    for process in processes:
        process.stop()


@pytest.fixture(scope="session")
def own_threads(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """For what works in threads of the tests' own process, whose connections nobody closes."""
    yield
    with django_db_blocker.unblock():
        end_other_sessions()


@pytest.fixture(scope="module")
def own_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    return dict(request.module.ENVIRONMENT)


@pytest.fixture(scope="module")
def own_process(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
    own_environment: dict[str, str],
) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("own") / "server.log"
    with running(ServerProcess(str(connection.settings_dict["NAME"]), log, own_environment)) as process:
        yield process


@pytest.fixture
def server(transactional_db: None, own_process: ServerProcess) -> ServerProcess:
    """A server of the module's own, with its ENVIRONMENT, on a database that is emptied after the test."""
    return own_process


def end_other_sessions() -> None:
    """Close what ended tasks left open, so that the test database can be dropped."""
    if connection.vendor == "postgresql":
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")


@pytest.fixture
def servers(transactional_db: None, server_processes: Servers) -> Servers:
    """The running servers, on a database that is emptied after the test."""
    return server_processes


@pytest.fixture
def organization(db: None) -> Any:
    from apikeys.models import Organization

    return Organization.objects.create(name=f"Organization {next(_numbers)}")


@pytest.fixture
def other_organization(db: None) -> Any:
    from apikeys.models import Organization

    return Organization.objects.create(name=f"Other organization {next(_numbers)}")


@pytest.fixture
def make_key(organization: Any) -> Callable[..., str]:
    """Makes API keys: `make_key()` carries every scope, `make_key("read:charge_points")` those named."""
    from apikeys.models import ApiKey
    from apikeys.scopes import SCOPES

    def make(*scopes: str, owner: Any = None, **fields: Any) -> str:
        return ApiKey.objects.issue(owner or organization, "test", scopes or SCOPES, **fields)[1]

    return make


@pytest.fixture
def make_charge_point(organization: Any) -> Callable[..., Any]:
    """Makes ChargePoint rows, without credentials unless a password is given."""
    from chargepoints.models import ChargePoint

    def make(identity: str = "", password: str | None = None, owner: Any = None, **fields: Any) -> Any:
        identity = identity or f"CP-{next(_numbers)}"
        return ChargePoint.objects.provision(owner or organization, identity, password, **fields)

    return make


@pytest.fixture
async def connect(servers: Servers, make_charge_point: Callable[..., Any]) -> AsyncIterator[Callable[..., Any]]:
    """Connects charge points: `await connect()` provisions one first, `await connect(row)` takes that one."""
    clients: list[ChargePointClient] = []

    async def open_socket(row: Any = None, password: str | None = None, **options: Any) -> ChargePointClient:
        row = row or make_charge_point()
        client = ChargePointClient(f"{servers.ws_url}/{row.identity}", row.identity, password)
        clients.append(client)
        await client.connect(**options)
        return client

    yield open_socket
    for client in clients:
        await client.close()


@pytest.fixture
async def charge_point(connect: Callable[..., Awaitable[ChargePointClient]]) -> ChargePointClient:
    """A connected charge point that has booted, with connector 1 available."""
    client = await connect()
    await client.boot()
    await client.status()
    return client


@pytest.fixture
async def api(servers: Servers, make_key: Callable[..., str]) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client with a key of every scope."""
    headers = {"Authorization": f"Bearer {make_key()}"}
    async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def elsewhere() -> Iterator[Callable[..., Future[Any]]]:
    """`elsewhere(work, ...)` has it done on a connection of its own."""

    def apart(work: Callable[..., Any], *args: Any) -> Any:
        try:
            return work(*args)
        finally:
            connection.close()

    with ThreadPoolExecutor() as threads:
        yield lambda work, *args: threads.submit(apart, work, *args)


async def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """The first true result of `condition`, asked again until the deadline."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
    return result


async def blocked() -> None:
    """Until another connection waits for a lock of this one."""

    def waits() -> bool:
        with connection.cursor() as cursor:
            # Not pg_stat_activity, which stays as it was first seen in a transaction.
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            return bool(cursor.fetchone()[0])

    await eventually(waits)


def wind_clock() -> None:
    """Have the time known now, so that nobody asks the database for it for a while."""
    clock._last = None
    clock.now()
