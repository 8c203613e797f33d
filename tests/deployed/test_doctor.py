"""`manage.py doctor` on services and proxies that are right, and on such that are wrong in one thing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from dynamo.doctor import proxy as doctor
from tests.servers import ROOT, free_port

from .proxies import Proxy, is_missing

ENVIRONMENT = {
    "DYNAMO_PROXY_ADDRESSES": "127.0.0.1",
    "DYNAMO_CLIENT_CERTIFICATE_HEADER": "X-Client-Certificate",
    "DYNAMO_ALLOWED_HOSTS": "localhost",
    "DYNAMO_TLS": "1",
}
Examine = Callable[..., list[str]]


@pytest.fixture
def examine(deployment: Any, tmp_path: Path) -> Examine:
    """The lines of a doctor who looks at the deployment's services."""

    def run(**variables: str) -> list[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        environment = {**kept, **deployment.environment, "DYNAMO_NO_BOOTSTRAP": "1", **variables}
        environment |= {"DYNAMO_DATA_DIR": str(tmp_path / "data")}
        command = [sys.executable, "manage.py", "doctor", "--port", str(free_port())]
        told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
        lines = told.stdout.splitlines()
        assert told.returncode == any(line.startswith("wrong") for line in lines), told.stderr
        return lines

    return run


def test_finds_nothing_wrong_with_a_deployment(examine: Examine) -> None:
    lines = examine()
    assert not [line for line in lines if line.startswith("wrong")]
    assert any("connections are enough for" in line for line in lines)
    assert len([line for line in lines if line.startswith("ok    clock: ")]) == 2


def test_finds_a_pool_that_asks_for_too_much(examine: Examine) -> None:
    assert any(line.startswith("wrong") and "connections" in line for line in examine(DYNAMO_DATABASE_POOL="200"))
    assert any(line.startswith("note") and "1 processes" in line for line in examine(DYNAMO_DATABASE_POOL="60"))


def test_finds_a_database_that_forgets(deployment: Any, examine: Examine) -> None:
    url = deployment.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        try:
            lines = examine()
        finally:
            connection.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')
    assert any("synchronous_commit is off" in line for line in lines if line.startswith("wrong"))


def test_finds_what_a_redis_would_do(deployment: Any, examine: Examine) -> None:
    with deployment.redis.client() as client:
        names = ("maxmemory", "maxmemory-policy", "client-output-buffer-limit")
        before = {name: client.config_get(name)[name] for name in names}
        try:
            for name, value in zip(names, ("100mb", "allkeys-lru", "pubsub 65536 0 0"), strict=True):
                client.config_set(name, value)
            lines = examine()
        finally:
            for name, value in before.items():
                client.config_set(name, value)
    assert any("allkeys-lru" in line for line in lines if line.startswith("note"))
    assert any("64 KiB behind" in line for line in lines if line.startswith("wrong"))


def test_gets_along_with_a_redis_that_hides_its_settings(deployment: Any, examine: Examine) -> None:
    with deployment.redis.client() as client:
        client.acl_setuser(
            "doctor", enabled=True, passwords=["+secret"], categories=["+@all"], commands=["-config"], keys=["*"]
        )
    url = deployment.environment["REDIS_URL"].replace("redis://", "redis://doctor:secret@")
    assert any("does not let its settings be looked at" in line for line in examine(REDIS_URL=url))


@pytest.fixture
def behind(deployment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Proxy]]:
    """Starts nginx as the manual has it, but for one damage."""
    if is_missing("nginx"):
        pytest.skip("needs nginx on this machine")
    started: list[Proxy] = []

    def start(**changes: Any) -> Proxy:
        made = Proxy("nginx", tmp_path, [worker.port for worker in deployment.workers], **changes)
        made.start()
        started.append(made)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        return made

    yield start
    for made in started:
        made.stop()


def wrongs(url: str) -> list[str]:
    return [text for level, text in doctor.look(url) if level == "wrong"]


def test_finds_nothing_wrong_with_the_proxy_of_the_manual(behind: Any, settings: Any) -> None:
    settings.DYNAMO_CLIENT_CERTIFICATE_HEADER = "X-Client-Certificate"
    proxy = behind()
    found = list(doctor.look(proxy.url))
    assert [finding for finding in found if finding.level != "ok"] == []
    assert len(found) == 5
    assert "valid for 29 days" in found[0].text
    assert wrongs(f"http://localhost:{proxy.http_port}") == []


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ((r"(X-Forwarded-For) \$remote_addr", r"\1 $http_x_forwarded_for"), "passes on a forged X-Forwarded-For"),
        ((r"(X-Forwarded-Proto) \$scheme", r"\1 $http_x_forwarded_proto"), "passes on a forged X-Forwarded-Proto"),
        ((r"proxy_set_header X-Forwarded-Proto \$scheme;", ""), "passes on a forged X-Forwarded-Proto"),
        ((r"(X-Client-Certificate) \$ssl_client_escaped_cert", r"\1 $http_x_client_certificate"), "client certificate"),
        ((r"proxy_set_header Upgrade .*;", ""), "WebSockets do not reach"),
        ((r"(ssl_verify_client optional;)", r"\1 if ($http_upgrade) { return 444; }"), "without response"),
        ((r"proxy_set_header Host \$http_host;", ""), "is not among DYNAMO_ALLOWED_HOSTS"),
        ((r"proxy_http_version 1.1;", "proxy_http_version 1.1; proxy_bind 127.0.0.2;"), "127.0.0.2 is not among"),
    ],
)
def test_finds_what_a_proxy_does_wrong(behind: Any, settings: Any, damage: tuple[str, str], complaint: str) -> None:
    settings.DYNAMO_CLIENT_CERTIFICATE_HEADER = "X-Client-Certificate"
    assert [text for text in wrongs(behind(damage=damage).url) if complaint in text]


def test_finds_a_certificate_that_has_ended(behind: Any) -> None:
    (complaint,) = wrongs(behind(days=-1).url)
    assert "certificate has expired" in complaint


def test_finds_a_certificate_that_ends_soon(behind: Any) -> None:
    assert wrongs(behind(days=3.5).url) == ["TLS: it ends in 3 days: renew it"]


def test_finds_a_certificate_that_nobody_trusts(behind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = behind()
    monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
    assert any("is not valid" in text for text in wrongs(proxy.url))


def test_finds_a_server_with_another_secret_key(behind: Any, settings: Any) -> None:
    settings.SECRET_KEY = "another" * 10
    assert any("no Dynamo with this DYNAMO_SECRET_KEY" in text for text in wrongs(behind().url))


def test_finds_that_nobody_answers(deployment: Any) -> None:
    (complaint,) = wrongs("https://localhost:9")
    assert "cannot be reached" in complaint
    (complaint,) = wrongs(f"http://127.0.0.1:{deployment.redis.port}")
    assert "it answers no HTTP" in complaint


def test_tells_nobody_else_how_a_request_arrives(deployment: Any) -> None:
    url = f"http://127.0.0.1:{deployment.workers[0].port}/doctor"
    for token in ("", "doctor", "doctor:1:x"):
        answer = httpx2.get(url, headers={"Host": "localhost", "X-Forwarded-Proto": "https", "X-Doctor": token})
        assert answer.status_code in (301, 404)
        assert "address" not in answer.text
