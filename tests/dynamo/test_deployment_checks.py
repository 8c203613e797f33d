"""`manage.py check --deploy` is silent about the settings of docs/production.md, and names what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from django.db import connection

from tests.manual import MANUAL
from tests.servers import ServerProcess

from .test_settings import manage

pytestmark = pytest.mark.without_services

PRODUCTION = {
    "DYNAMO_SECRET_KEY": "8f0c3a5e7d1b92460e8f7c6d5b4a39281706f5e4d3c2b1a0998877665f4e3d2c",
    "DYNAMO_ALLOWED_HOSTS": "csms.example.com",
    "DYNAMO_PROXY_ADDRESSES": "10.0.0.2",
    "DYNAMO_TLS": "1",
    "DATABASE_URL": "postgresql://dynamo:hidden@127.0.0.1:9/dynamo",
    "REDIS_URL": "redis://127.0.0.1:9/0",
}
DEPLOY = ("check", "--deploy", "--fail-level", "WARNING")


def test_is_silent_about_production_settings(tmp_path: Path) -> None:
    checked = manage(*DEPLOY, data=tmp_path, **PRODUCTION)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "no issues" in checked.stdout


def test_checks_the_environment_of_the_manual() -> None:
    assert all(f"\n{name}=" in MANUAL for name in PRODUCTION)


@pytest.mark.parametrize(
    ("without", "identifiers"),
    [
        ("DYNAMO_TLS", {"security.W004", "security.W008", "security.W012", "security.W016"}),
        ("DYNAMO_ALLOWED_HOSTS", {"dynamo.W002"}),
        ("REDIS_URL", {"dynamo.W001"}),
    ],
)
def test_names_what_is_missing(tmp_path: Path, without: str, identifiers: set[str]) -> None:
    checked = manage(*DEPLOY, data=tmp_path, **{**PRODUCTION, without: ""})
    assert checked.returncode == 1
    assert set(re.findall(r"\(([a-z]+\.[WE]\d+)\)", checked.stderr)) == identifiers


def test_asks_for_insistence_on_tls(tmp_path: Path) -> None:
    checked = manage(*DEPLOY, data=tmp_path, **PRODUCTION, DYNAMO_HSTS_SECONDS="0")
    assert checked.returncode == 1
    assert set(re.findall(r"\(([a-z]+\.[WE]\d+)\)", checked.stderr)) == {"security.W004"}


@pytest.fixture
def address(transactional_db: None, tmp_path: Path) -> Iterator[str]:
    environment = {name: PRODUCTION[name] for name in PRODUCTION if name.startswith("DYNAMO_")}
    process = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log", environment)
    process.start()
    yield f"http://127.0.0.1:{process.port}"
    process.stop()


def test_answers_probes_by_address_and_redirects_everybody_else(address: str) -> None:
    for path in ("/livez", "/readyz"):
        assert httpx2.get(address + path).status_code == 200
    assert httpx2.get(address + "/admin/login/").status_code == 400
    asked = httpx2.get(address + "/admin/login/", headers={"Host": "csms.example.com"})
    assert (asked.status_code, asked.headers["Location"]) == (301, "https://csms.example.com/admin/login/")
