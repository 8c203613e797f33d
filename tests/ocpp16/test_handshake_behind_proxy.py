"""The door behind a proxy that ends TLS and tells where a charge point comes from."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import SecurityProfile
from ocpp16.models import RefusedConnection
from tests.certificates import make_certificate
from tests.charge_point import basic, loopback_address
from tests.conftest import eventually
from tests.servers import ServerProcess

from .knocking import knock, status_of

KEY = "key-of-16-bytes."
HEADER = "X-Client-Certificate"
ENVIRONMENT = {"DYNAMO_PROXY_ADDRESSES": "127.0.0.0/9, 192.0.2.1", "DYNAMO_CLIENT_CERTIFICATE_HEADER": HEADER}
numbers = itertools.count(1)
STRANGER = "127.200.0.1"  # no proxy


@pytest.fixture
def port(server: ServerProcess) -> int:
    return server.port


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
    one, other = (forwarded("https", loopback_address()) for _ in "ab")
    for _ in range(10):
        assert await status_of(port, f"/ocpp16/{identity}", address=proxy, more=one) == 401
    assert await status_of(port, f"/ocpp16/{identity}", address=proxy, more=one) == 429
    assert await status_of(port, f"/ocpp16/{identity}", address=proxy, more=other) == 401


@pytest.mark.parametrize("address", ["x" * 3000, "é", "", ",", "unknown", "[2001:db8::1]:5000"])
async def test_lets_a_charge_point_in_whatever_the_address_says(
    port: int, make_charge_point: Any, address: str
) -> None:
    identity = make_charge_point().identity
    assert await status_of(port, f"/ocpp16/{identity}", more=forwarded("https", address)) == 101


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("203.0.113.66, 203.0.113.5", "203.0.113.5"),
        ("203.0.113.66, 203.0.113.5, 192.0.2.1", "203.0.113.5"),
        ("203.0.113.66\r\nX-Forwarded-For: 203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:50123", "203.0.113.5"),
        ("203.0.113.66, [2001:db8::5]:50123", "2001:db8::5"),
        ("203.0.113.66, nonsense, 192.0.2.1", "192.0.2.1"),
    ],
)
async def test_takes_the_nearest_address_that_is_no_proxy(
    port: int, make_charge_point: Any, said: str, address: str
) -> None:
    async with await knock(port, f"/ocpp16/{make_charge_point().identity}", more=forwarded("https", said)):
        assert ChargePoint.objects.get().address == address


async def test_believes_nobody_but_a_proxy(port: int, make_charge_point: Any) -> None:
    row = make_charge_point(password=KEY)
    more = forwarded("https")
    knocked = {"authorization": basic(row.identity, KEY), "more": more, "address": STRANGER}
    async with await knock(port, f"/ocpp16/{row.identity}", **knocked) as answer:
        assert answer.status == 101
        assert ChargePoint.objects.get().address == STRANGER
    ChargePoint.objects.update(security_profile=SecurityProfile.TLS_BASIC)
    assert await status_of(port, f"/ocpp16/{row.identity}", **knocked) == 403


async def test_needs_every_proxy_on_the_way_to_have_been_reached_by_tls(port: int, make_charge_point: Any) -> None:
    identity = make_charge_point(password=KEY, security_profile=SecurityProfile.TLS_BASIC).identity
    asked = {"authorization": basic(identity, KEY), "more": forwarded("https, http")}
    assert await status_of(port, f"/ocpp16/{identity}", **asked) == 403


def shown(certificate: str, proto: str = "https") -> str:
    return f"{forwarded(proto, f'198.51.100.{next(numbers)}')}\r\n{HEADER}: {certificate}"


@pytest.mark.parametrize("form", ["pem", "der", "rfc9440"])
async def test_lets_in_whom_a_certificate_names(port: int, make_charge_point: Any, form: str) -> None:
    identity = make_charge_point("CP + Zürich, 1", security_profile=SecurityProfile.TLS_CERTIFICATE).identity
    path = "/ocpp16/CP%20+%20Z%C3%BCrich,%201"
    certificate = make_certificate(identity)[form]
    assert await status_of(port, path, more=shown(certificate)) == 101
    assert await status_of(port, path, more=shown(certificate, "http")) == 403
    assert await status_of(port, path, more=shown(certificate), address=STRANGER) == 403


@pytest.mark.parametrize("names", [["OTHER"], ["cp-c"], ["CP-C "], ["CP-C", "CP-C"], ["CP-C", "OTHER"], ["*"], []])
async def test_lets_in_nobody_whom_the_certificate_does_not_name_exactly(
    port: int, make_charge_point: Any, names: list[str]
) -> None:
    make_charge_point("CP-C", password=KEY, security_profile=SecurityProfile.TLS_CERTIFICATE)
    asked = {"authorization": basic("CP-C", KEY), "more": shown(make_certificate(*names)["pem"])}
    assert await status_of(port, "/ocpp16/CP-C", **asked) == 403


@pytest.mark.parametrize("text", ["", "CP-C", "CN=CP-C", "-----BEGIN%20CERTIFICATE-----", ":Q1AtQw==:", "%FF", "::"])
async def test_lets_in_nobody_who_shows_no_certificate(port: int, make_charge_point: Any, text: str) -> None:
    make_charge_point("CP-C", password=KEY, security_profile=SecurityProfile.TLS_CERTIFICATE)
    asked = {"authorization": basic("CP-C", KEY), "more": shown(text)}
    assert await status_of(port, "/ocpp16/CP-C", **asked) == 403


async def test_takes_a_certificate_where_less_is_asked_for(port: int, make_charge_point: Any) -> None:
    identity = make_charge_point(password=KEY).identity
    assert await status_of(port, f"/ocpp16/{identity}", more=shown(make_certificate(identity)["pem"])) == 101
    other = make_certificate("OTHER")["pem"]
    assert await status_of(port, f"/ocpp16/{identity}", more=shown(other)) == 401
    asked = {"authorization": basic(identity, KEY), "more": shown(other)}
    assert await status_of(port, f"/ocpp16/{identity}", **asked) == 101


async def test_does_not_look_at_a_second_certificate(port: int, make_charge_point: Any) -> None:
    make_charge_point("CP-C", security_profile=SecurityProfile.TLS_CERTIFICATE)
    genuine, forged = (make_certificate(name)["pem"] for name in ("OTHER", "CP-C"))
    assert await status_of(port, "/ocpp16/CP-C", more=f"{shown(forged)}\r\n{HEADER}: {genuine}") == 403
