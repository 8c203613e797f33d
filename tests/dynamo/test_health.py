"""/livez tells that the process serves; /readyz tells whether it can do its work, and what is in the way."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from channels.layers import get_channel_layer
from django.db import connection

from dynamo.health import round_trip
from tests.conftest import eventually
from tests.servers import ServerProcess

READY = {"database": "ready", "channel_layer": "ready", "migrations": "ready"}


@pytest.fixture
async def client(servers: Any) -> Any:
    async with httpx2.AsyncClient(base_url=servers.http_url) as client:
        yield client


async def test_livez_says_ok_to_anybody(client: httpx2.AsyncClient) -> None:
    response = await client.get("/livez")
    assert (response.status_code, response.text) == (200, "ok")
    assert "no-store" in response.headers["Cache-Control"]


async def test_readyz_names_each_thing_that_is_ready(client: httpx2.AsyncClient) -> None:
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "checks": READY}


@pytest.mark.skipif(not os.environ.get("REDIS_URL"), reason="only our own layer keeps channels; set REDIS_URL")
async def test_readyz_leaves_no_channel_behind() -> None:
    layer: Any = get_channel_layer()
    await round_trip()
    assert layer.channels == {}


@pytest.fixture
def own_server(tmp_path: Path, django_db_setup: None) -> Iterator[ServerProcess]:
    """A server on a SQLite file of its own, to be damaged."""
    if connection.vendor != "sqlite":
        pytest.skip("damages its own SQLite file; unset DATABASE_URL")
    copy = tmp_path / "copy.sqlite3"
    with sqlite3.connect(copy) as target:
        source = sqlite3.connect(connection.settings_dict["NAME"])
        source.backup(target)
        source.close()
    target.close()
    server = ServerProcess(str(copy), tmp_path / "server.log")
    server.start()
    yield server
    server.stop()


def change(path: str, statement: str) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(statement)
    database.close()


def test_readyz_counts_the_migrations_that_are_missing(own_server: ServerProcess) -> None:
    change(own_server.database_name, "DELETE FROM django_migrations WHERE app = 'ocpp16'")
    response = httpx2.get(f"http://127.0.0.1:{own_server.port}/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"
    assert response.json()["checks"].keys() == READY.keys()
    assert response.json()["checks"]["migrations"].endswith("not applied")


class Relay:
    """Passes connections on to a service until it is cut, and again once it is mended."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{self.port}").geturl()
        self.is_cut = False
        self.sockets: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self.listener.accept()[0]
                if self.is_cut:
                    near.close()
                    continue
                far = socket.create_connection(self.target)
                self.sockets += [near, far]
                threading.Thread(target=self.copy, args=(near, far), daemon=True).start()
                threading.Thread(target=self.copy, args=(far, near), daemon=True).start()

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        self.shut(source, target)

    def cut(self) -> None:
        self.is_cut = True
        self.shut(*self.sockets)

    def mend(self) -> None:
        self.is_cut = False

    def close(self) -> None:
        self.cut()
        self.listener.close()

    def shut(self, *sockets: socket.socket) -> None:
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relays(tmp_path: Path, django_db_setup: None) -> Iterator[tuple[ServerProcess, Relay, Relay]]:
    """A server that reaches its database and its channel layer through relays."""
    if connection.vendor != "postgresql" or not os.environ.get("REDIS_URL"):
        pytest.skip("cuts the lines to services; set DATABASE_URL and REDIS_URL")
    database, layer = Relay(os.environ["DATABASE_URL"]), Relay(os.environ["REDIS_URL"])
    variables = {"DATABASE_URL": database.url, "REDIS_URL": layer.url}
    server = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log", variables)
    server.start()
    yield server, database, layer
    server.stop()
    database.close()
    layer.close()


def probe(server: ServerProcess) -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{server.port}/readyz", timeout=10)


def test_readyz_names_the_service_that_is_gone(relays: tuple[ServerProcess, Relay, Relay]) -> None:
    server, database, layer = relays
    assert probe(server).json() == {"status": "ready", "checks": READY}
    layer.cut()
    assert probe(server).status_code == 503
    assert probe(server).json()["checks"]["database"] == "ready"
    assert probe(server).json()["checks"]["channel_layer"] in ("cannot be reached", "no answer within 2 seconds")
    layer.mend()
    database.cut()
    assert probe(server).status_code == 503
    checks = probe(server).json()["checks"]
    assert checks["database"] in ("cannot be reached", "no answer within 2 seconds")
    assert checks["migrations"] == "unknown"
    assert httpx2.get(f"http://127.0.0.1:{server.port}/livez").status_code == 200


async def test_readyz_recovers_with_its_services(relays: tuple[ServerProcess, Relay, Relay]) -> None:
    server, database, layer = relays
    assert probe(server).status_code == 200
    database.cut()
    layer.cut()
    assert probe(server).status_code == 503
    database.mend()
    layer.mend()
    await eventually(lambda: probe(server).status_code == 200, 30)
