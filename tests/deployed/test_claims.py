"""A process that others could not know of is refused beside them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import eventually
from tests.servers import ROOT, free_port

REFUSAL = "Another process runs on the database of DATABASE_URL, and one of the two has no REDIS_URL"
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(deployment: Any) -> Iterator[Start]:
    """Starts processes, and ends those that the test leaves."""
    started: list[subprocess.Popen[str]] = []

    def launch(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **deployment.environment, "DYNAMO_NO_BOOTSTRAP": "1", **variables}
        command = [sys.executable, "manage.py", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **pipes))
        return started[-1]

    yield launch
    for process in started:
        process.kill()
        process.wait()


def assert_refused(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert REFUSAL in errors
    assert errors.strip().splitlines()[-1].startswith("CommandError: Another")


def answers(port: int) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/livez").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("command", ["serve", "up", "worker"])
def test_refuses_a_process_without_redis_beside_others_with_it(start: Start, tmp_path: Path, command: str) -> None:
    port = ("--port", str(free_port())) if command != "worker" else ()
    assert_refused(start(command, *port, REDIS_URL="", DYNAMO_DATA_DIR=str(tmp_path)))


async def test_refuses_every_other_process_beside_one_without_redis(
    deployment: Any, start: Start, template: str, tmp_path: Path
) -> None:
    deployment.postgresql.create_database("alone", template)
    url, port = deployment.postgresql.url("alone"), free_port()
    on_it = {"DATABASE_URL": url, "DYNAMO_DATA_DIR": str(tmp_path / "first")}
    first = start("serve", "--port", str(port), REDIS_URL="", **on_it)
    await eventually(lambda: answers(port), 60)
    on_it["DYNAMO_DATA_DIR"] = str(tmp_path / "second")
    others = [
        start("serve", "--port", str(free_port()), **on_it),
        start("serve", "--port", str(free_port()), REDIS_URL="", **on_it),
    ]
    for other in others:
        assert_refused(other)
    first.kill()
    first.wait()
    second = start("serve", "--port", str(port), REDIS_URL="", **on_it)
    await eventually(lambda: answers(port), 60)
    second.terminate()
    assert second.wait(20) == 0
