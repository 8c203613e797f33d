"""Secrets through every way in: nothing that the server writes holds one, at DEBUG and where it fails, too."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from apikeys.key_texts import KEY_START
from apikeys.models import ApiKey
from tests.charge_point import ChargePointClient, basic
from tests.conftest import eventually
from tests.dynamo.test_settings import manage
from tests.ocpp16.knocking import status_of
from tests.servers import ServerProcess
from tests.world import superuser

API = "/api/v1/ocpp16"
METRICS_TOKEN = "canary-of-the-metrics"
ENVIRONMENT = {"DYNAMO_LOG_LEVEL": "DEBUG", "DYNAMO_METRICS_TOKEN": METRICS_TOKEN}
# Where the name belongs; failures are counted by it, so the database has it, but the log need not.
TYPED = "my-password-by-mistake"


class Canaries:
    """Makes secrets, and finds them again in what the server wrote."""

    def __init__(self) -> None:
        self.all: list[str] = [METRICS_TOKEN]

    def __call__(self, name: str) -> str:
        """A secret of 40 characters."""
        secret = f"canary{len(self.all)}{name}".ljust(40, "0")
        return self.note(secret)

    def note(self, secret: str) -> str:
        assert len(secret) >= 16
        self.all.append(secret)
        return secret

    def found_in(self, text: str) -> list[str]:
        """The secrets in the text: as they are, in hex, or inside of a Basic header."""
        return [secret for secret in self.all if any(spelling in text for spelling in spellings(secret))]


def spellings(secret: str) -> set[str]:
    # What is the same in Base64 whatever stands before and after.
    inside = {base64.b64encode(b"x" * skipped + secret.encode()).decode()[4:-4] for skipped in range(3)}
    return {secret, secret.encode().hex(), *inside}


@pytest.fixture
def canaries() -> Canaries:
    return Canaries()


@contextmanager
def missing(*tables: str) -> Iterator[None]:
    """Every use of these tables fails meanwhile."""

    def rename(ending: str, back: str) -> None:
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"ALTER TABLE {table}{ending} RENAME TO {table}{back}")

    rename("", "_away")
    try:
        yield
    finally:
        rename("_away", "")


def stored() -> str:
    """Everything in the database, but for what a browser's session is found by."""
    models = [model for model in apps.get_models() if model._meta.label != "sessions.Session"]
    return "\n".join(repr(list(model._default_manager.values())) for model in models)


async def check(server: ServerProcess, canaries: Canaries, *proofs: str) -> None:
    """None of the secrets was written, though what they came with was."""
    await eventually(lambda: all(proof in server.log.read_text() + stored() for proof in proofs))
    assert canaries.found_in(server.log.read_text()) == []
    assert canaries.found_in(stored()) == []


def client_of(server: ServerProcess, **options: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=30, **options)


async def test_of_charge_points_that_connect(
    server: ServerProcess, canaries: Canaries, make_charge_point: Callable[..., Any]
) -> None:
    right, wrong = canaries("right"), canaries("wrong")
    identity = make_charge_point("CP-CANARY", right).identity
    targets = [f"/ocpp16/{identity}", f"/ocpp16/{identity}?password={wrong}", f"/ocpp16/NOBODY?key={wrong}"]
    for target in targets:
        for credentials in (basic(identity, wrong), basic(wrong, right), f"Bearer {wrong}", f"Basic {wrong}"):
            assert await status_of(server.port, target, authorization=credentials) in (401, 404, 429)
    async with client_of(server) as client:
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Authorization": basic(identity, wrong)}
        assert (await client.get(targets[1], headers=upgrade)).status_code == 400
    client = ChargePointClient(f"ws://127.0.0.1:{server.port}/ocpp16/{identity}", identity, right)
    await client.connect(headers={"Cookie": f"sessionid={wrong}"})
    await client.close()
    with missing("chargepoints_chargepoint"):
        assert await status_of(server.port, targets[0], authorization=basic(identity, right)) == 503
    await check(server, canaries, "wrong password", "no WebSocket handshake", "could not be completed")


async def test_of_callers_of_the_api(server: ServerProcess, canaries: Canaries, make_key: Callable[..., str]) -> None:
    right, wrong = canaries.note(make_key()), canaries.note(KEY_START + "canary".ljust(40, "x"))
    read, body = f"{API}/charge_points/status", {"charge_point_id": "NONE", "type": "Soft"}
    async with client_of(server) as client:
        for key in (right, wrong):
            for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}, {"Authorization": f"Basic {key}"}):
                await client.get(read, headers=headers)
            await client.get(f"{read}?api_key={key}", headers={"X-Request-Id": key})
            await client.get(f"{API}/active_transactions/{key}", headers={"Authorization": f"Bearer {right}"})
            await client.get(f"/nothing/{key}", headers={"Cookie": f"key={key}", "Referer": f"http://h/?{key}"})
            await client.post(f"{API}/reset", json={**body, "api_key": key}, headers={"X-API-Key": right})
        with missing("chargepoints_listingchange"):
            failed = await client.get(f"{read}?key={wrong}", headers={"X-API-Key": right})
        await client.get("/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert failed.status_code in (500, 503)
    await check(server, canaries, "active_transactions/dyn_live_", "Traceback", ApiKey.objects.get().prefix)


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ({"status": "Accepted"}, "AuthorizationKey"),
        ({"status": "Rejected"}, "authorizationkey"),
        ("error", "AuthorizationKey"),
        ("nonsense", "AUTHORIZATIONKEY"),
        (None, "AuthorizationKey"),
    ],
    ids=["accepted", "rejected", "error", "nonsense", "silence"],
)
async def test_of_a_password_that_is_changed(
    server: ServerProcess, canaries: Canaries, make_charge_point: Any, make_key: Any, answer: Any, key: str
) -> None:
    identity, secret = make_charge_point("CP-CANARY").identity, canaries("new")
    client = ChargePointClient(f"ws://127.0.0.1:{server.port}/ocpp16/{identity}", identity)
    await client.connect()
    payload = {"key": key, "value": secret}
    body = {"charge_point_id": identity, "command": "ChangeConfiguration", "payload": payload}
    async with client_of(server, headers={"X-API-Key": make_key()}) as caller:
        asked = asyncio.create_task(caller.post(f"{API}/send_command", json=body))
        call = await client.expect("ChangeConfiguration")
        if answer == "error":  # as one make does: with the request, as JSON and as text
            await call.fail(
                "InternalError", json.dumps(payload), {"request": [2, call.message_id, call.action, payload]}
            )
        elif answer == "nonsense":
            await call.reply({"status": 1, "configurationKey": [payload], "text": json.dumps(payload)})
            await client.send(f'[3,"{call.message_id}",{json.dumps(payload)}')
        elif answer is not None:
            await call.reply(answer)
        told = await asked
    await client.close()
    assert secret not in told.text
    await check(server, canaries, "***", key)


async def test_of_staff(server: ServerProcess, canaries: Canaries, make_charge_point: Any) -> None:
    charge_point, user = make_charge_point("CP-CANARY"), superuser()
    right, wrong, new = canaries("login"), canaries("guess"), canaries("changed")
    user.set_password(right)
    user.save()
    async with client_of(server, follow_redirects=True) as client:
        await client.get("/admin/login/")

        async def post(path: str, **form: str) -> httpx2.Response:
            form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
            canaries.note(client.cookies["csrftoken"])
            return await client.post(path, data=form, headers={"Origin": str(client.base_url).rstrip("/")})

        await post("/admin/login/", username=user.username, password=wrong)
        await post(f"/admin/login/?password={wrong}", username=TYPED, password=right)
        await post("/admin/login/", username=user.username, password=right)
        canaries.note(client.cookies["sessionid"])
        changed = await post("/admin/password_change/", old_password=right, new_password1=new, new_password2=new)
        assert "Password change successful" in changed.text
        canaries.note(client.cookies["sessionid"])
        page = await client.get(reverse("admin:auth_user_add"))
        await post(reverse("admin:auth_user_add"), username="new", password1=right, password2=right)
        own = reverse("admin:chargepoints_chargepoint_password", args=[charge_point.pk])
        for password in (wrong, ""):
            page = await client.get(own)
            shown = await post(own, password=password, once=mark_in(page.text))
            canaries.note(secret_in(shown.text))
        with missing("chargepoints_chargepoint"):
            assert (await post(own, password=wrong, once="again")).status_code >= 500
    assert User.objects.filter(username="new").exists()
    await check(server, canaries, "Set a new password", "Traceback")
    assert TYPED not in server.log.read_text()


def mark_in(page: str) -> str:
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def secret_in(page: str) -> str:
    found = re.search(r'id="secret">([^<]+)<', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgresql://user:{}@127.0.0.1:9/name"),
        ("REDIS_URL", "redis://:{}@127.0.0.1:9/0"),
        ("DYNAMO_SECRET_KEY", "{}"),
        ("DYNAMO_METRICS_TOKEN", "{}\u00e9"),
    ],
)
def test_of_the_environment(tmp_path: Path, canaries: Canaries, name: str, url: str) -> None:
    variables = {"DYNAMO_LOG_LEVEL": "DEBUG", name: url.format(canaries("environment"))}
    refused = manage("serve", data=tmp_path, **variables)
    assert refused.returncode == 1
    assert canaries.found_in(refused.stdout + refused.stderr) == []


def test_finds_what_was_written(canaries: Canaries) -> None:
    secret = canaries("known")
    for spelling in (secret, secret.encode().hex(), basic("x", secret)):
        assert canaries.found_in(f"Authorization: {spelling}") == [secret]
    assert canaries.found_in("***") == []
