"""The Dockerfile and compose.yaml, as far as they can be run without Docker: files, commands, variables, the end."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from dynamo import environment
from tests.conftest import eventually
from tests.manual import MANUAL

from .project import ROOT
from .test_settings import manage

pytestmark = pytest.mark.without_services

INSTRUCTIONS = [
    line.split(" ", 1) for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")
]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "dynamo"}
GIVEN = {
    "POSTGRES_PASSWORD": "5f4e3d2c1b0a",
    "DYNAMO_SECRET_KEY": "8f0c3a5e7d1b92460e8f7c6d5b4a39281706f5e4d3c2b1a0998877665f4e3d2c",
    "DYNAMO_DOMAIN": "csms.example.com",
    "CADDY_TLS": "ops@example.com",
}
END_SECONDS = 15


def instructions(name: str) -> list[str]:
    return [rest for instruction, rest in INSTRUCTIONS if instruction == name]


def copied() -> list[str]:
    """What the image takes from this folder."""
    return [word for rest in instructions("COPY") if not rest.startswith("--from") for word in rest.split()[:-1]]


def variables() -> dict[str, str]:
    return dict(word.split("=", 1) for rest in instructions("ENV") for word in rest.split())


def command_of(name: str) -> list[str]:
    """The command of an instruction in exec form."""
    return list(json.loads(re.sub(r"^[^[]*", "", instructions(name)[0])))


def substituted(text: str) -> str:
    return re.sub(r"\$\{(\w+):\?\}", lambda found: GIVEN[found[1]], text)


def test_the_image_holds_all_of_our_code() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    ours = {path.split("/")[0] for path in tracked if path.endswith(".py") and not path.startswith("tests/")}
    assert ours | {"templates", "pyproject.toml"} <= set(copied())
    passed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    assert set(copied()) <= passed
    assert all((ROOT / path).exists() for path in passed)


def test_the_image_runs_as_nobody_of_importance() -> None:
    user = instructions("USER")[-1]
    assert any(f"useradd --system --uid 10001 {user}" in rest for rest in instructions("RUN"))
    assert [name for name, _ in INSTRUCTIONS].index("USER") < [name for name, _ in INSTRUCTIONS].index("CMD")


def test_every_variable_means_something() -> None:
    known = environment.read | {"DYNAMO_NO_BOOTSTRAP", "PATH", "PYTHONUNBUFFERED"}
    assert set(variables()) <= known
    for service in OURS.values():
        assert set(service["environment"]) <= known


def test_every_command_exists() -> None:
    commands = {service.get("command", ["serve"])[0] for service in OURS.values()}
    assert commands == {"serve", "worker", "migrate"}
    assert commands <= set(get_commands())


def test_the_settings_pass_the_checks_of_a_deployment(tmp_path: Path) -> None:
    for service in OURS.values():
        given = {name: substituted(value) for name, value in service["environment"].items()}
        checked = manage("check", "--deploy", "--fail-level", "WARNING", data=tmp_path, **given)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_waits_for_what_it_needs() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
    for name in ("web1", "web2", "worker"):
        assert OURS[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert OURS["migrate"]["depends_on"] == {"postgresql": {"condition": "service_healthy"}}


def test_every_server_listens_where_its_health_is_asked_for() -> None:
    port = instructions("EXPOSE")[0]
    assert f"127.0.0.1:{port}/" in instructions("HEALTHCHECK")[0]
    assert SERVICES["worker"]["command"] == ["worker", "--host", "0.0.0.0", "--port", port]
    assert [name for name, service in OURS.items() if service.get("healthcheck")] == ["migrate"]


def test_believes_the_proxy_and_no_other_container() -> None:
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    proxy = SERVICES["proxy"]["networks"]["default"]["ipv4_address"]
    assert {service["environment"]["DYNAMO_PROXY_ADDRESSES"] for service in OURS.values()} == {proxy}
    assert ipaddress.ip_address(proxy) in ipaddress.ip_network(network["subnet"])
    assert ipaddress.ip_address(proxy) not in ipaddress.ip_network(network["ip_range"])


def test_gives_the_proxy_what_its_configuration_asks_for() -> None:
    asked = re.findall(r"\{\$(\w+)(:\w+)?\}", (ROOT / "docs" / "Caddyfile").read_text())
    without_default = {name for name, default in asked if not default}
    assert without_default == set(SERVICES["proxy"]["environment"])
    workers = SERVICES["proxy"]["environment"]["DYNAMO_WORKERS"].split()
    assert workers == [f"{name}:{instructions('EXPOSE')[0]}" for name in ("web1", "web2")]


def test_the_manual_names_every_variable_that_has_to_be_given() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?\}", (ROOT / "compose.yaml").read_text()))
    assert asked == set(GIVEN)
    assert all(f"\n{name}=" in MANUAL for name in asked)


@pytest.fixture
def image(tmp_path: Path, scale: Any) -> Path:
    """The folder of the image, with what COPY brings; with --full the requirements are installed as RUN says."""
    folder = tmp_path / "dynamo"
    folder.mkdir()
    for name in copied():
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, folder / name, ignore=ignored) if source.is_dir() else shutil.copy(source, folder)
    for command in instructions("RUN")[:1] * scale(0, 1):
        own = command.replace("/venv", str(tmp_path / "venv"))
        subprocess.run(["sh", "-c", own], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def container(image: Path, tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The image's command as process 1 of a namespace; yields its number outside, and its port."""
    isolate = ["unshare", "--pid", "--fork"]
    if subprocess.run([*isolate, "true"], capture_output=True).returncode:
        pytest.skip("may not make a namespace of processes here")
    python = tmp_path / "venv" / "bin" / "python"
    path = {"PATH": f"{python.parent if python.exists() else Path(sys.executable).parent}:{os.environ['PATH']}"}
    given = {**variables(), **path, "DYNAMO_DATA_DIR": str(tmp_path / "data")}
    # On every address, so that a port which the system gives to clients would not do.
    port = 20_000 + os.getpid() % 12_000
    command = [*command_of("ENTRYPOINT"), *command_of("CMD"), "--port", str(port)]
    subprocess.run([*command_of("ENTRYPOINT"), "migrate"], cwd=image, env=given, check=True, capture_output=True)
    process = subprocess.Popen([*isolate, *command], cwd=image, env=given)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline, number = time.monotonic() + END_SECONDS, ""
    try:
        while not (number := children.read_text().strip()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield int(number), port
    finally:
        if process.poll() is None:
            os.kill(int(number or process.pid), signal.SIGKILL)
        process.wait()


def is_healthy(port: int) -> bool:
    command = [word.replace(":8000", f":{port}") for word in command_of("HEALTHCHECK")]
    return subprocess.run([sys.executable, *command[1:]], capture_output=True).returncode == 0


@pytest.mark.timeout(600)
async def test_is_healthy_and_ends_when_told(container: tuple[int, int]) -> None:
    number, port = container
    await eventually(lambda: is_healthy(port), 60)
    os.kill(number, signal.SIGTERM)
    await eventually(lambda: not is_healthy(port), END_SECONDS)
    await eventually(lambda: not Path(f"/proc/{number}/cwd").exists(), END_SECONDS)
