"""`up` prepares what is missing, serves, and leaves at Ctrl-C; the first start shows secrets, no other does."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.servers import free_port

from .project import ROOT
from .test_settings import OURS

pytestmark = pytest.mark.without_services

SECONDS = 60
PASSWORD = re.compile(r"password: (\S+)")
API_KEY = re.compile(r"dyn_live_[\w-]{40}")


class Up:
    """A running `up`, embedded, in a data folder of its own."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data, self.port, self.log = data, free_port(), data.with_suffix(".log")
        kept = {name: text for name, text in os.environ.items() if name not in OURS}
        environment = {
            **kept,
            "DYNAMO_NO_BOOTSTRAP": "1",
            "DYNAMO_DATA_DIR": str(data),
            "DJANGO_SETTINGS_MODULE": "dynamo.settings",
        }
        command = [sys.executable, "manage.py", "up", "--port", str(self.port), *arguments]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str) -> str:
        """All output, once `text` has come."""
        deadline = time.monotonic() + SECONDS
        while text not in self.output:
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.05)
        return self.output

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        database = sqlite3.connect(self.data / "dynamo.sqlite3")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts `up` on the data folder of this test."""
    started: list[Up] = []

    def start(*arguments: str) -> Up:
        started.append(Up(tmp_path / "data", *arguments))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()


KEPT = (
    "SELECT username, password FROM auth_user",
    "SELECT name FROM apikeys_organization",
    "SELECT digest FROM apikeys_apikey",
    "SELECT identity, password_digest FROM chargepoints_chargepoint ORDER BY identity",
)


def test_starts_a_fleet_that_charges_at_the_pasted_line(up: Callable[..., Up]) -> None:
    first = up()
    output = first.wait_for("\ncurl ")
    [line] = [line for line in output.splitlines() if line.startswith("curl ")]
    pasted = subprocess.run(["bash", "-c", line.replace("curl ", "curl -sS ", 1)], capture_output=True, text=True)
    assert '"status":"Accepted"' in pasted.stdout, pasted
    identity = re.search(r'"charge_point_id": "([^"]+)"', shlex.split(line)[-1])[1]
    headers = {"Authorization": f"Bearer {API_KEY.search(output)[0]}"}
    address = f"http://127.0.0.1:{first.port}/api/v1/ocpp16/active_transactions/{identity}"
    deadline = time.monotonic() + SECONDS
    while not httpx2.get(address, headers=headers).json()["active_transactions"]:
        assert time.monotonic() < deadline, "the charge point did not start charging"
        time.sleep(0.1)


def test_lets_the_admin_in_with_the_password_that_it_shows(up: Callable[..., Up]) -> None:
    first = up("--no-demo")
    password = PASSWORD.search(first.wait_for("Ctrl-C"))[1]
    with httpx2.Client(base_url=f"http://127.0.0.1:{first.port}", follow_redirects=True) as browser:
        browser.get("/admin/login/")
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        assert "Log out" in browser.post("/admin/login/?next=/admin/", data=form).text


def test_changes_nothing_and_shows_no_secret_at_the_second_start(up: Callable[..., Up]) -> None:
    first = up()
    first.wait_for("\ncurl ")
    assert first.stop() == 0
    assert "Traceback" not in first.output
    before = [first.rows(query) for query in KEPT]
    assert [len(rows) for rows in before] == [1, 1, 1, 5]

    second = up()
    second.wait_for("Ctrl-C")
    fleet = "SELECT count(*) FROM chargepoints_chargepoint WHERE channel_name != ''"
    deadline = time.monotonic() + SECONDS
    while second.rows(fleet) != [(5,)]:
        assert time.monotonic() < deadline, second.output
        time.sleep(0.1)
    assert second.stop() == 0
    assert not PASSWORD.search(second.output)
    assert not API_KEY.search(second.output)
    assert [second.rows(query) for query in KEPT] == before


def test_makes_no_demo_where_none_is_wanted(up: Callable[..., Up]) -> None:
    first = up("--no-demo")
    first.wait_for("Ctrl-C")
    assert first.stop() == 0
    again = up()
    again.wait_for("Ctrl-C")
    assert again.rows("SELECT count(*) FROM apikeys_organization") == [(0,)]
    assert again.stop() == 0
    late = up("--demo")
    assert "API key: dyn_live_" in late.wait_for("\ncurl ")


def test_says_in_one_sentence_that_the_port_is_busy_and_changes_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        environment = {**os.environ, "DYNAMO_NO_BOOTSTRAP": "1", "DYNAMO_DATA_DIR": str(tmp_path)}
        command = [sys.executable, "manage.py", "up", "--port", port]
        refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""
    assert not (tmp_path / "dynamo.sqlite3").exists()


def test_says_in_one_sentence_that_a_host_is_not_of_this_machine(tmp_path: Path) -> None:
    environment = {**os.environ, "DYNAMO_NO_BOOTSTRAP": "1", "DYNAMO_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "up", "--host", "192.0.2.1"]
    refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "Cannot listen on 192.0.2.1:8000" in refused.stderr
    assert not (tmp_path / "dynamo.sqlite3").exists()


def test_refuses_a_second_server_on_one_data_folder(up: Callable[..., Up]) -> None:
    first = up("--no-demo")
    first.wait_for("Ctrl-C")
    second = up("--no-demo")
    assert second.process.wait(SECONDS) == 1
    assert second.output.count("\n") == 1
    assert "Another server runs on" in second.output
    first.stop()
    up("--no-demo").wait_for("Ctrl-C")
