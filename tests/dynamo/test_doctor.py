"""`manage.py doctor` on one machine: a line for each finding, exit 1 if something is wrong."""

from __future__ import annotations

import importlib.metadata
import resource
import shutil
import socket
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from dynamo.doctor import machine, services
from tests.servers import ServerProcess, free_port, running

from .test_settings import manage

pytestmark = pytest.mark.without_services

Usage = namedtuple("Usage", "total used free")


def findings(*arguments: str, data: Path, **variables: str) -> tuple[int, list[str]]:
    told = manage("doctor", *arguments, data=data, **variables)
    assert told.stderr == ""
    return told.returncode, told.stdout.splitlines()


def of(lines: list[str], subject: str) -> list[str]:
    return [line for line in lines if line[6:].startswith(subject)]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("data")
    manage("migrate", data=data).check_returncode()
    return data


@pytest.fixture
def data(migrated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(migrated, tmp_path / "data"))


def test_finds_nothing_wrong_with_a_first_start(data: Path) -> None:
    code, lines = findings("--port", str(free_port()), data=data)
    assert code == 0
    assert {line[:6].strip() for line in lines} == {"ok"}
    for subject in ("settings", "data folder", "disk", "open files", "port", "clients", "database"):
        assert of(lines, subject), subject


def test_asks_for_migrations(tmp_path: Path) -> None:
    code, lines = findings(data=tmp_path)
    assert code == 1
    assert of(lines, "database")[-1].startswith("wrong database: ")
    assert of(lines, "database")[-1].endswith("migrations are not applied")


def test_finds_a_variable_that_means_nothing(data: Path) -> None:
    code, lines = findings(data=data, DYNAMO_BEHIND_PROXY="1")
    assert code == 1
    assert "wrong settings: DYNAMO_BEHIND_PROXY means nothing to Dynamo" in lines


def test_finds_what_other_users_may_open(data: Path) -> None:
    data.chmod(0o755)
    (data / "secret_key").chmod(0o644)
    code, lines = findings(data=data)
    assert code == 1
    assert len([line for line in of(lines, "data folder") if line.startswith("wrong")]) == 2


def test_finds_a_damaged_database(data: Path) -> None:
    with (data / "dynamo.sqlite3").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 200_000)
    code, lines = findings(data=data)
    assert code == 1
    assert any("damaged" in line or "cannot be used" in line for line in of(lines, "database"))


def test_finds_a_stranger_at_the_port(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        code, lines = findings("--port", str(stranger.getsockname()[1]), data=data)
    assert code == 1
    assert of(lines, "port")[0].endswith("it is no Dynamo that listens there")


def test_knows_dynamo_at_the_port(transactional_db: None, data: Path, tmp_path: Path) -> None:
    server = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log")
    with running(server):
        code, lines = findings("--port", str(server.port), data=data)
    assert (code, of(lines, "port")) == (0, [f"ok    port: Dynamo listens on 127.0.0.1:{server.port}"])


def test_finds_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**12, 10**12, 50 * 2**20))
    assert any("only 50 MiB are free" in text for level, text in machine.look_at_data_folder() if level == "wrong")


def test_finds_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (1024, 1024))
    assert machine.look_at_open_files().level == "wrong"


@pytest.mark.parametrize(
    ("layer", "client", "level"), [("4.3.0", "8.0.1", "wrong"), ("4.3.0", "7.4.1", "ok"), ("4.4.0", "8.0.1", "ok")]
)
def test_knows_the_clients_that_do_not_go_together(
    monkeypatch: pytest.MonkeyPatch, layer: str, client: str, level: str
) -> None:
    versions = {"channels-redis": layer, "redis": client}
    monkeypatch.setattr(importlib.metadata, "version", versions.__getitem__)
    assert services.look_at_clients().level == level


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (3600, "wrong"), (-3600, "wrong")])
def test_finds_a_clock_that_is_wrong(seconds: float, level: str) -> None:
    assert services.skew("the database", lambda: (time.time() + seconds,)).level == level


def test_names_the_services_that_are_gone(tmp_path: Path) -> None:
    gone: dict[str, Any] = {
        "DATABASE_URL": "postgresql://user:hidden@127.0.0.1:9/name",
        "REDIS_URL": "redis://:hidden@127.0.0.1:9/0",
    }
    code, lines = findings(data=tmp_path, **gone)
    assert code == 1
    assert of(lines, "database")[0].startswith("wrong database: The database of DATABASE_URL cannot be used")
    assert of(lines, "Redis")[0].startswith("wrong Redis: ")
    assert "hidden" not in "".join(lines)
