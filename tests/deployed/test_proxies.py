"""Two workers behind nginx and behind Caddy as the manual configures them: TLS, addresses, every security profile."""

from __future__ import annotations

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets
from django.contrib.auth import get_user_model

from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import SecurityProfile
from tests.certificates import Authority, make_certificate
from tests.charge_point import ChargePointClient
from tests.manual import commands

from .proxies import PROGRAMS, Proxy, is_missing

ENVIRONMENT = {
    "DYNAMO_PROXY_ADDRESSES": "127.0.0.1",
    "DYNAMO_CLIENT_CERTIFICATE_HEADER": "X-Client-Certificate",
    "DYNAMO_TLS": "1",
    "DYNAMO_ALLOWED_HOSTS": "localhost",
}
KEY = "key-of-16-bytes."
FORGED = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module", params=PROGRAMS)
def proxy(request: pytest.FixtureRequest, deployment: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    if is_missing(request.param):
        pytest.skip(f"needs {request.param} on this machine")
    folder = tmp_path_factory.mktemp(request.param)
    made = Proxy(request.param, folder, [worker.port for worker in deployment.workers])
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def browser(proxy: Proxy, servers: Any) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=proxy.url, verify=proxy.trusting(), timeout=30) as client:
        yield client


@pytest.fixture
async def connect(proxy: Proxy, servers: Any) -> AsyncIterator[Any]:
    """Connects a charge point through the proxy: with TLS where a context is given."""
    clients: list[ChargePointClient] = []

    async def open_socket(
        row: Any,
        context: ssl.SSLContext | None = None,
        password: str | None = None,
        path: str = "",
        headers: dict[str, str] | None = None,
    ) -> ChargePointClient:
        where = f"wss://localhost:{proxy.https_port}" if context else f"ws://localhost:{proxy.http_port}"
        client = ChargePointClient(f"{where}/ocpp16/{path or row.identity}", row.identity, password)
        client.address = "127.0.0.1"
        await client.connect(headers=headers, **({"ssl": context} if context else {}))
        clients.append(client)
        return client

    yield open_socket
    for client in clients:
        await client.close()


async def status_of(connecting: Any) -> int:
    """The HTTP status with which a connection is refused."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connecting
    return refused.value.response.status_code


async def test_lets_staff_in_over_tls(proxy: Proxy, browser: httpx2.AsyncClient) -> None:
    get_user_model().objects.create_superuser("admin", password="a long password")
    page = await browser.get("/admin/login/")
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[0]
    form = {"csrfmiddlewaretoken": token, "username": "admin", "password": "a long password", "next": "/admin/"}
    answer = await browser.post("/admin/login/", data=form, headers={"Origin": proxy.url, "Referer": str(page.url)})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    assert all("Secure" in cookie for cookie in answer.headers.get_list("Set-Cookie"))
    assert "Operations | Dynamo" in (await browser.get("/admin/")).text


async def test_sends_people_from_http_to_https(proxy: Proxy, browser: httpx2.AsyncClient) -> None:
    async with httpx2.AsyncClient() as plain:
        answer = await plain.get(f"http://localhost:{proxy.http_port}/admin/", headers=FORGED)
    assert (answer.status_code, answer.headers["Location"]) == (308, "https://localhost/admin/")


async def test_keeps_metrics_inside(browser: httpx2.AsyncClient) -> None:
    assert (await browser.get("/metrics")).status_code == 404


async def test_carries_a_command_to_a_charge_point_and_back(
    proxy: Proxy, connect: Any, browser: httpx2.AsyncClient, make_charge_point: Any, make_key: Any
) -> None:
    row = make_charge_point("CP 1+é", password=KEY, security_profile=SecurityProfile.TLS_BASIC)
    client = await connect(row, proxy.trusting(), KEY, path="CP%201+%C3%A9")
    await client.boot()
    for _ in range(2):  # once from each worker
        asked = browser.post(
            "/api/v1/ocpp16/reset",
            json={"charge_point_id": row.identity, "type": "Soft"},
            headers={"Authorization": f"Bearer {make_key()}"},
        )
        answered, _ = await asyncio.gather(asked, accept_reset(client))
        assert answered.status_code == 200


async def accept_reset(client: ChargePointClient) -> None:
    await (await client.expect("Reset")).reply(status="Accepted")


async def test_lets_profile_1_in_with_and_without_tls(proxy: Proxy, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(password=KEY)
    assert await (await connect(row, None, KEY)).boot()
    assert await (await connect(row, proxy.trusting(), KEY)).boot()
    assert await status_of(connect(row, proxy.trusting(), "another password")) == 401


async def test_lets_profile_2_in_over_tls_only(proxy: Proxy, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(password=KEY, security_profile=SecurityProfile.TLS_BASIC)
    assert await status_of(connect(row, None, KEY, headers=FORGED)) == 403
    assert await (await connect(row, proxy.trusting(), KEY)).boot()


async def test_lets_profile_3_in_by_its_certificate_only(proxy: Proxy, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point("CP 3", security_profile=SecurityProfile.TLS_CERTIFICATE)
    assert await (await connect(row, proxy.showing("CP 3"), path="CP%203")).boot()
    assert await status_of(connect(row, proxy.showing("CP 4"), path="CP%203")) == 403
    assert await status_of(connect(row, proxy.trusting(), path="CP%203")) == 403
    assert await status_of(connect(row, None, path="CP%203")) == 403


async def test_lets_profile_3_in_by_what_the_manual_has_openssl_make(
    proxy: Proxy, deployment: Any, servers: Any, make_charge_point: Any, tmp_path: Path
) -> None:
    for line in commands("openssl"):
        subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True, capture_output=True)  # noqa: ASYNC221
    made = (tmp_path / "charge-points-ca.pem").read_bytes()
    charge_points = Authority(proxy.charge_points.key, made)
    own = Proxy(proxy.program, tmp_path, proxy.workers, charge_points=charge_points)
    context = own.trusting()
    context.load_cert_chain(tmp_path / "CP-1.pem", tmp_path / "CP-1.key")
    make_charge_point("CP-1", security_profile=SecurityProfile.TLS_CERTIFICATE)
    client = ChargePointClient(f"wss://localhost:{own.https_port}/ocpp16/CP-1", "CP-1")
    client.address = "127.0.0.1"
    await asyncio.to_thread(own.start)
    try:
        await client.connect(ssl=context)
        assert await client.boot()
        await client.close()
    finally:
        own.stop()


async def test_lets_nobody_in_by_a_certificate_of_another_authority(
    proxy: Proxy, connect: Any, make_charge_point: Any
) -> None:
    row = make_charge_point(security_profile=SecurityProfile.TLS_CERTIFICATE)
    with pytest.raises((websockets.InvalidHandshake, ssl.SSLError, OSError)):
        await connect(row, proxy.showing(row.identity, Authority.make("Charge points")))


async def test_lets_nobody_in_by_a_forged_header(proxy: Proxy, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(f"CP-{proxy.program}", security_profile=SecurityProfile.TLS_CERTIFICATE)
    for form in ("pem", "der"):
        forged = {**FORGED, "X-Client-Certificate": make_certificate(row.identity)[form]}
        for context in (None, proxy.trusting(), proxy.showing("CP-4")):
            assert await status_of(connect(row, context, headers=forged)) == 403


async def test_knows_the_address_whatever_the_client_says(proxy: Proxy, connect: Any, make_charge_point: Any) -> None:
    row = make_charge_point(password=KEY)
    await connect(row, proxy.trusting(), KEY, headers=FORGED)
    assert ChargePoint.objects.get().address == "127.0.0.1"


async def test_believes_no_other_peer_of_the_workers(deployment: Any, servers: Any, make_charge_point: Any) -> None:
    make_charge_point("CP-3", security_profile=SecurityProfile.TLS_CERTIFICATE)
    client = ChargePointClient(f"ws://127.0.0.1:{deployment.workers[0].port}/ocpp16/CP-3", "CP-3")
    forged = {**FORGED, "X-Client-Certificate": make_certificate("CP-3")["pem"]}
    assert await status_of(client.connect(headers=forged)) == 403  # from 127.1.0.1 and further
    client.address = "127.0.0.1"
    await client.connect(headers=forged)
    await client.close()
