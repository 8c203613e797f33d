"""The door behind a proxy that ends TLS and tells where a charge point comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import SecurityProfile
from ocpp16.models import RefusedConnection
from tests.charge_point import basic, loopback_address
from tests.conftest import eventually
from tests.servers import ServerProcess

from .knocking import knock, status_of

KEY = "key-of-16-bytes."


@pytest.fixture(scope="module")
def process(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    log = tmp_path_factory.mktemp("proxied") / "server.log"
    process = ServerProcess(str(connection.settings_dict["NAME"]), log, {"DYNAMO_BEHIND_PROXY": "1"})
    process.start()
    yield process
    process.stop()


@pytest.fixture
def port(transactional_db: None, process: ServerProcess) -> int:
    return process.port


def forwarded(proto: str, address: str = "203.0.113.7") -> str:
    return f"X-Forwarded-For: {address}\r\nX-Forwarded-Proto: {proto}"


@pytest.mark.parametrize(("proto", "status"), [("https", 101), ("wss", 101), ("http", 403), ("ws", 403)])
async def test_knows_from_the_proxy_whether_tls_was_used(
    port: int, make_charge_point: Any, proto: str, status: int
) -> None:
    identity = make_charge_point(password=KEY, security_profile=SecurityProfile.TLS_BASIC).identity
    authorization = basic(identity, KEY)
    assert await status_of(port, f"/ocpp16/{identity}", authorization=authorization, more=forwarded(proto)) == status


async def test_knows_from_the_proxy_where_a_charge_point_is(port: int, make_charge_point: Any) -> None:
    identity = make_charge_point().identity
    async with await knock(port, f"/ocpp16/{identity}", more=forwarded("https", "203.0.113.9")) as answer:
        assert answer.status == 101
        assert ChargePoint.objects.get().address == "203.0.113.9"
    assert await status_of(port, "/ocpp16/STRANGER", more=forwarded("https", "203.0.113.8")) == 404
    await eventually(RefusedConnection.objects.filter(address="203.0.113.8").exists)


async def test_throttles_the_forwarded_address_not_the_proxy(port: int, make_charge_point: Any) -> None:
    identity, proxy = make_charge_point(password=KEY).identity, loopback_address()
    for _ in range(10):
        more = forwarded("https", "203.0.113.1")
        assert await status_of(port, f"/ocpp16/{identity}", address=proxy, more=more) == 401
    assert await status_of(port, f"/ocpp16/{identity}", address=proxy, more=forwarded("https", "203.0.113.1")) == 429
    assert await status_of(port, f"/ocpp16/{identity}", address=proxy, more=forwarded("https", "203.0.113.2")) == 401


@pytest.mark.parametrize("address", ["x" * 3000, "é", "", ",", "unknown", "[2001:db8::1]:5000"])
async def test_lets_a_charge_point_in_whatever_the_address_says(
    port: int, make_charge_point: Any, address: str
) -> None:
    identity = make_charge_point().identity
    assert await status_of(port, f"/ocpp16/{identity}", more=forwarded("https", address)) == 101
