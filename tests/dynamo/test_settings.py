"""A wrong setting ends every command at its start, with one sentence that names the variable."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from .project import ROOT

pytestmark = pytest.mark.without_services

OURS = ("DATABASE_URL", "REDIS_URL")


def manage(*arguments: str, data: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {
        name: text
        for name, text in os.environ.items()
        if name not in OURS and not name.startswith(("DYNAMO_", "DJANGO_"))
    }
    environment = {**kept, "DYNAMO_NO_BOOTSTRAP": "1", "DYNAMO_DATA_DIR": str(data), **variables}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DYNAMO_COMMAND_TIMEOUT", "soon"),
        ("DYNAMO_COMMAND_TIMEOUT", "nan"),
        ("DYNAMO_COMMAND_TIMEOUT", "0"),
        ("DYNAMO_RETENTION_DAYS", "1.5"),
        ("DYNAMO_RETENTION_DAYS", "99999999"),
        ("DYNAMO_DATABASE_POOL", "1"),
        ("DYNAMO_DEBUG", "maybe"),
        ("DYNAMO_ALLOWED_HOSTS", "http://csms.example.com"),
        ("DYNAMO_ALLOWED_HOSTS", "csms.example.com:8000"),
        ("DYNAMO_TRUSTED_ORIGINS", "csms.example.com"),
        ("DYNAMO_PROXY_ADDRESSES", "proxy.example.com"),
        ("DYNAMO_PROXY_ADDRESSES", "10.0.0.1/24"),
        ("DYNAMO_CLIENT_CERTIFICATE_HEADER", "X-Client-Certificate"),
        ("DYNAMO_TLS", "1"),
        ("DYNAMO_LOG_LEVEL", "loud"),
        ("DYNAMO_SECRET_KEY", "short"),
        ("DYNAMO_SECRET_KEY", "k7Jq2xVd9RbTzW4mNs8HpLc3FyGa5EuX"),
        ("DYNAMO_SECRET_KEY", "x" * 64),
        ("DYNAMO_SECRET_KEY", "0123456789" * 6),
        ("DYNAMO_SECRET_KEY", "changeme-k7Jq2xVd9RbTzW4mNs8HpLc3FyGa5EuXk7Jq2xVd9RbTzW4m"),
        ("DYNAMO_DATA_DIR", "/etc/passwd"),
        ("DATABASE_URL", "mysql://user:hidden@host/name"),
        ("DATABASE_URL", "postgresql://user:hidden@host:5432/"),
        ("DATABASE_URL", "postgresql://user:hidden@host:port/name"),
        ("DATABASE_URL", "postgresql://user:hidden/slash@host:5432/name"),
        ("DATABASE_URL", "postgresql://user:hidden%zz@host:5432/name"),
        ("DATABASE_URL", "postgresql://user:hidden@host/name?sslmod=require"),
        ("REDIS_URL", "http://:hidden@host"),
        ("REDIS_URL", "redis://:hidden@host:port/0"),
        ("REDIS_URL", "redis://:hidden@host/first"),
    ],
)
def test_names_the_variable_in_one_sentence(tmp_path: Path, name: str, text: str) -> None:
    refused = manage("check", data=tmp_path, **{name: text})
    assert refused.returncode == 1
    assert name in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "hidden" not in refused.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("DATABASE_URL", "postgresql://user:hidden@host:5432/name"),
        ("REDIS_URL", "redis://:hidden@host:6379/0"),
        ("DYNAMO_PROXY_ADDRESSES", "10.0.0.1"),
        ("DYNAMO_ALLOWED_HOSTS", "csms.example.com"),
    ],
)
def test_refuses_debug_where_others_are_concerned(tmp_path: Path, name: str, text: str) -> None:
    refused = manage("check", data=tmp_path, **{"DYNAMO_DEBUG": "1", name: text})
    assert refused.returncode == 1
    assert refused.stderr == f"DYNAMO_DEBUG shows secrets on error pages: switch it off where {name} is set.\n"


@pytest.mark.parametrize("command", ["serve", "up"])
def test_refuses_debug_where_other_machines_can_ask(tmp_path: Path, command: str) -> None:
    refused = manage(command, "--host", "0.0.0.0", data=tmp_path, DYNAMO_DEBUG="1")
    assert refused.returncode == 1
    assert "DYNAMO_DEBUG shows secrets on error pages: switch it off to listen on 0.0.0.0." in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_refuses_a_kept_secret_key_that_could_be_guessed(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("secret")
    refused = manage("check", data=tmp_path)
    assert refused.returncode == 1
    assert f"The secret key in {tmp_path / 'secret_key'} must be at least 50 random characters" in refused.stderr


def test_takes_a_secret_key_as_openssl_prints_it(tmp_path: Path) -> None:
    key = "8f0c3a5e7d1b92460e8f7c6d5b4a39281706f5e4d3c2b1a0998877665f4e3d2c"
    assert manage("check", data=tmp_path, DYNAMO_SECRET_KEY=key).returncode == 0


def test_refuses_a_wrong_setting_before_it_runs_tests(tmp_path: Path) -> None:
    refused = manage("test", "--version", data=tmp_path, DYNAMO_DEBUG="maybe")
    assert (refused.returncode, refused.stderr) == (1, "DYNAMO_DEBUG must be 1 or 0, not 'maybe'.\n")


def test_takes_an_empty_variable_as_not_set(tmp_path: Path) -> None:
    names = ("DYNAMO_LOG_LEVEL", "DYNAMO_ALLOWED_HOSTS", "DYNAMO_RETENTION_DAYS", "DATABASE_URL", "REDIS_URL")
    assert manage("check", data=tmp_path, **dict.fromkeys(names, "")).returncode == 0


def test_keeps_a_secret_key_that_only_its_user_may_read(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    manage("check", data=data).check_returncode()
    key = (data / "secret_key").read_text()
    manage("check", data=data).check_returncode()
    assert (data / "secret_key").read_text() == key
    assert len(key) >= 50
    assert stat.S_IMODE((data / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [path.name for path in data.iterdir()] == ["secret_key"]


def test_says_in_one_sentence_that_the_database_cannot_be_reached(tmp_path: Path) -> None:
    url = "postgresql://user:hidden@127.0.0.1:9/name"
    refused = manage("serve", data=tmp_path, DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:9/0")
    assert refused.returncode == 1
    assert "The database of DATABASE_URL cannot be used: connection to server at" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "hidden" not in refused.stderr


def test_says_in_one_sentence_that_redis_cannot_be_reached(tmp_path: Path) -> None:
    refused = manage("serve", data=tmp_path, REDIS_URL="redis://:hidden@127.0.0.1:9/0")
    assert refused.returncode == 1
    assert "The Redis of REDIS_URL cannot be used" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "hidden" not in refused.stderr


def test_asks_for_migrations_in_one_sentence(tmp_path: Path) -> None:
    for arguments in (["serve"], ["create_organization", "Acme"]):
        refused = manage(*arguments, data=tmp_path)
        assert refused.returncode == 1
        assert "manage.py migrate" in refused.stderr
        assert refused.stderr.count("\n") == 1
