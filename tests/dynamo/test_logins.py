"""Logging in to the admin: who guesses passwords is locked out, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse

from tests.servers import ServerProcess
from tests.world import staff, superuser

LOGIN = "/admin/login/"
ATTEMPTS = reverse("admin:axes_accessattempt_changelist")
PASSWORD = "correct horse battery"
HOME, ELSEWHERE = "192.0.2.1", "192.0.2.2"


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher",
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    ]


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_superuser("operator", password=PASSWORD)


def log_in(password: str = PASSWORD, address: str = HOME, name: str = "operator") -> Any:
    return Client().post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address)


def fail(times: int, address: str = HOME, name: str = "operator") -> Any:
    """The answer to the last of so many wrong passwords."""
    return [log_in("wrong", address, name) for _ in range(times)][-1]


def test_locks_out_after_ten_failures_and_says_for_how_long(user: User) -> None:
    assert fail(9).status_code == 200
    locked = fail(1)
    assert locked.status_code == 429
    assert 890 <= int(locked.headers["Retry-After"]) <= 900
    assert b"for 15 minutes" in locked.content
    assert log_in().status_code == 429


def test_locks_out_neither_other_addresses_nor_other_names(user: User) -> None:
    colleague = staff(username="colleague")
    colleague.set_password(PASSWORD)
    colleague.save()
    fail(10)
    assert log_in(address=ELSEWHERE).status_code == 302
    assert log_in(name="colleague").status_code == 302
    assert log_in().status_code == 429


def test_shows_the_form_to_who_is_locked_out(user: User) -> None:
    fail(10)
    assert Client().get(LOGIN, REMOTE_ADDR=HOME).status_code == 200


def test_forgets_failures_after_a_success(user: User) -> None:
    fail(9)
    assert log_in().status_code == 302
    assert fail(9).status_code == 200


def test_lets_in_again_when_the_time_is_over(user: User) -> None:
    fail(12)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=14))
    assert int(log_in().headers["Retry-After"]) <= 60
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=1))
    assert log_in().status_code == 302


def test_shows_failures_to_superusers_who_may_forgive_them(user: User) -> None:
    fail(10)
    client = Client()
    client.force_login(superuser())
    listed = client.get(ATTEMPTS)
    assert b"operator" in listed.content
    assert b"locked out" in listed.content
    pk = AccessAttempt.objects.get().pk
    chosen = {"action": "delete_selected", "_selected_action": [pk], "post": "yes"}
    assert client.post(ATTEMPTS, chosen).status_code == 302
    assert log_in().status_code == 302


def test_shows_failures_to_nobody_else(user: User, organization: Any) -> None:
    fail(1)
    client = Client()
    client.force_login(staff(organization))
    assert client.get(ATTEMPTS).status_code == 403
    assert b"Access attempts" not in client.get("/admin/").content


@pytest.mark.parametrize("address", ["", "unknown", "x" * 3000, "é", "unix:"])
def test_locks_out_at_an_address_that_is_none(user: User, address: str) -> None:
    assert fail(10, address).status_code == 429
    assert log_in().status_code == 302


def test_takes_a_network_of_ipv6_for_one_address(user: User) -> None:
    for number in range(10):
        locked = fail(1, f"2001:db8:0:1::{number:x}")
    assert locked.status_code == 429
    assert log_in(address="2001:db8:0:2::1").status_code == 302


def test_keeps_neither_passwords_nor_tokens(user: User) -> None:
    Client().post(LOGIN, {"username": "operator", "password": "canary-one", "csrfmiddlewaretoken": "canary-two"})
    fail(1)
    kept = str(list(AccessAttempt.objects.values()))
    assert "operator" in kept
    assert "canary" not in kept


@pytest.fixture
def proxied(transactional_db: None, tmp_path: Path) -> Iterator[ServerProcess]:
    environment = {"DYNAMO_PROXY_ADDRESSES": "127.0.0.1"}
    process = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log", environment)
    process.start()
    yield process
    process.stop()


def test_counts_by_the_address_that_the_proxy_tells(proxied: ServerProcess, user: User) -> None:
    User.objects.update(password=make_password(PASSWORD, hasher="pbkdf2_sha256"))
    with httpx2.Client(base_url=f"http://127.0.0.1:{proxied.port}") as client:
        client.get(LOGIN)
        form = {"username": "operator", "csrfmiddlewaretoken": client.cookies["csrftoken"]}

        def post(password: str, address: str) -> int:
            headers = {"X-Forwarded-For": f"203.0.113.99, {address}"}
            return client.post(LOGIN, data={**form, "password": password}, headers=headers).status_code

        assert [post("wrong", HOME) for _ in range(settings.AXES_FAILURE_LIMIT)][-1] == 429
        assert list(AccessAttempt.objects.values_list("ip_address", flat=True)) == [HOME]
        assert post(PASSWORD, ELSEWHERE) == 302
