"""Who may come in, and how everybody else is told, over real sockets."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import SecurityProfile
from tests.charge_point import basic

from .knocking import knock, send_request, status_of

KEY = bytes(range(0xE0, 0xF4))
TRICKY_KEY = b"\x00:\xff\xfe:\x80" + b"k" * 12


@pytest.fixture
def port(servers: Any) -> int:
    return servers.charge_points.port


@pytest.fixture
def identity(port: int, make_charge_point: Any) -> str:
    """A charge point that needs no credentials."""
    return make_charge_point().identity


@pytest.mark.parametrize(
    "offered",
    ["ocpp1.6", "ocpp1.6, ocpp2.0.1", "ocpp2.0.1,ocpp1.6", "ocpp2.0.1, ocpp1.5 , ocpp1.6", "ocpp1.6,ocpp1.6"],
)
async def test_takes_ocpp16_in_any_position(port: int, identity: str, offered: str) -> None:
    async with await knock(port, f"/ocpp16/{identity}", protocols=offered) as answer:
        assert (answer.status, answer.subprotocol) == (101, "ocpp1.6")


async def test_takes_ocpp16_from_the_second_of_two_header_lines(port: int, identity: str) -> None:
    more = "Sec-WebSocket-Protocol: ocpp1.6"
    async with await knock(port, f"/ocpp16/{identity}", protocols="ocpp2.0.1", more=more) as answer:
        assert (answer.status, answer.subprotocol) == (101, "ocpp1.6")


@pytest.mark.parametrize("offered", [None, "", "ocpp2.0.1", "OCPP1.6", "ocpp1.60", "ocpp1.6j", "ocpp1.5, soap", "é"])
async def test_refuses_without_ocpp16(port: int, identity: str, offered: str | None) -> None:
    assert await status_of(port, f"/ocpp16/{identity}", protocols=offered) == 400


async def test_assumes_ocpp16_where_the_switch_says_so(port: int, make_charge_point: Any) -> None:
    path = f"/ocpp16/{make_charge_point(assume_ocpp16=True).identity}"
    async with await knock(port, path, protocols=None) as answer:
        assert (answer.status, answer.subprotocol) == (101, None)
    assert await status_of(port, path, protocols="ocpp2.0.1") == 400


@pytest.mark.parametrize(
    ("identity", "segment"),
    [
        ("RDAM 123", "RDAM%20123"),
        ("RDAM123", "%52DAM123"),
        ("Zürich", "Z%C3%BCrich"),
        ("a+b", "a+b"),
        ("a%20b", "a%2520b"),
        ("a;b=c", "a;b=c"),
        ("a@b,c", "a@b,c"),
        ("a?b#c", "a%3Fb%23c"),
        ("x" * 48, "x" * 48),
        ("é" * 48, "%C3%A9" * 48),
    ],
)
async def test_reads_the_identity_once_decoded(port: int, make_charge_point: Any, identity: str, segment: str) -> None:
    make_charge_point(identity)
    assert await status_of(port, f"/ocpp16/{segment}") == 101


@pytest.mark.parametrize("target", ["/ocpp16/{}/", "/ocpp/1.6/{}", "/ocpp/1.6/{}/", "/ocpp16/{}?a=b/c", "/ocpp16/{}?"])
async def test_takes_other_forms_of_the_path(port: int, identity: str, target: str) -> None:
    assert await status_of(port, target.format(identity)) == 101


@pytest.mark.parametrize("scheme", ["ws", "http", "wss"])
async def test_takes_a_request_target_in_absolute_form(port: int, identity: str, scheme: str) -> None:
    assert await status_of(port, f"{scheme}://127.0.0.1:{port}/ocpp16/{identity}") == 101


@pytest.mark.parametrize(
    "segment",
    [
        "%FF",
        "%00",
        "a%2Fb",
        "%ZZ",
        "%",
        "%4",
        "",
        "x" * 49,
        "%C3%A9" * 49,
        "a/b",
        "//",
        "%0a",
        "%ED%A0%80",
        "%C0%AF",
        "%7F",
    ],
)
async def test_finds_nobody_under_an_impossible_identity(port: int, segment: str) -> None:
    assert await status_of(port, f"/ocpp16/{segment}") == 404


@pytest.mark.parametrize("target", ["/", "/ocpp16", "/ocpp16/", "/ocpp2/{}", "/{}", "/ocpp16/x/{}", "/api/ocpp16/{}"])
async def test_has_no_other_door(port: int, identity: str, target: str) -> None:
    assert await status_of(port, target.format(identity)) == 404


async def test_does_not_know_an_identity_in_another_case(port: int, make_charge_point: Any) -> None:
    make_charge_point("Case-1")
    assert await status_of(port, "/ocpp16/CASE-1") == 404


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1", "null", "https://csms.example.com", "file://", "charge-point", "http://[", ""]
)
async def test_does_not_mind_an_origin(port: int, identity: str, origin: str) -> None:
    assert await status_of(port, f"/ocpp16/{identity}", more=f"Origin: {origin}") == 101


@pytest.mark.parametrize("host", ["127.0.0.1", "csms.example.com", "csms.example.com:80", "[::1]:8000", "_"])
async def test_does_not_mind_the_host(port: int, identity: str, host: str) -> None:
    assert await status_of(port, f"/ocpp16/{identity}", host=host) == 101


@pytest.mark.parametrize(
    "offer", ["permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame", "bogus;;="]
)
async def test_declines_compression_and_goes_on(port: int, identity: str, offer: str) -> None:
    async with await knock(port, f"/ocpp16/{identity}", more=f"Sec-WebSocket-Extensions: {offer}") as answer:
        assert answer.status == 101
        assert "sec-websocket-extensions" not in answer.headers


@pytest.mark.parametrize(
    "sent", [KEY, KEY.hex().encode(), KEY.hex().upper().encode(), TRICKY_KEY, TRICKY_KEY.hex().encode()]
)
async def test_takes_the_key_raw_and_in_hex(port: int, make_charge_point: Any, sent: bytes) -> None:
    key = TRICKY_KEY if sent in (TRICKY_KEY, TRICKY_KEY.hex().encode()) else KEY
    identity = make_charge_point(password=key.hex()).identity
    assert await status_of(port, f"/ocpp16/{identity}", authorization=basic(identity, sent)) == 101


@pytest.mark.parametrize("password", ["s3cret", "with:colon", "pässwörd", "x" * 100, "12345678"])
async def test_takes_a_password_that_is_text(port: int, make_charge_point: Any, password: str) -> None:
    identity = make_charge_point(password=password).identity
    assert await status_of(port, f"/ocpp16/{identity}", authorization=basic(identity, password)) == 101


async def test_takes_the_decoded_identity_as_username(port: int, make_charge_point: Any) -> None:
    make_charge_point("Zürich 1", "password-of-16-b")
    authorization = basic("Zürich 1", "password-of-16-b")
    assert await status_of(port, f"/ocpp16/{quote('Zürich 1')}", authorization=authorization) == 101


def wrong_credentials(identity: str) -> dict[str, str | None]:
    return {
        "none": None,
        "empty": "",
        "wrong password": basic(identity, KEY[:-1]),
        "longer password": basic(identity, KEY + b"x"),
        "empty password": basic(identity, ""),
        "other username": basic("CP-2", KEY),
        "username in another case": basic(identity.lower(), KEY),
        "no username": basic("", KEY),
        "password first": basic(KEY, identity),
        "no base64": "Basic ***",
        "half base64": basic(identity, KEY)[:-3],
        "no scheme": basic(identity, KEY).removeprefix("Basic "),
        "other scheme": "Bearer " + basic(identity, KEY).removeprefix("Basic "),
    }


@pytest.mark.parametrize("kind", wrong_credentials("X"))
async def test_asks_for_credentials_before_any_upgrade(port: int, make_charge_point: Any, kind: str) -> None:
    identity = make_charge_point(password=KEY.hex()).identity
    async with await knock(port, f"/ocpp16/{identity}", authorization=wrong_credentials(identity)[kind]) as answer:
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="ocpp"'
        assert "upgrade" not in answer.headers
        assert await answer.reader.read() == b""
    assert not ChargePoint.objects.get().channel_name


async def test_lets_nobody_in_where_no_password_is_set(port: int, make_charge_point: Any) -> None:
    identity = make_charge_point(security_profile=SecurityProfile.BASIC).identity
    ChargePoint.objects.update(security_profile=SecurityProfile.BASIC)
    assert await status_of(port, f"/ocpp16/{identity}", authorization=basic(identity, "")) == 401


@pytest.mark.parametrize("more", ["", "X-Forwarded-Proto: https\r\nX-Forwarded-For: 10.0.0.1"])
async def test_refuses_plain_sockets_below_the_stored_profile(port: int, make_charge_point: Any, more: str) -> None:
    row = make_charge_point(password=KEY.hex(), security_profile=SecurityProfile.TLS_BASIC)
    authorization = basic(row.identity, KEY)
    assert await status_of(port, f"/ocpp16/{row.identity}", authorization=authorization, more=more) == 403


async def test_does_not_know_a_stranger(port: int) -> None:
    assert await status_of(port, "/ocpp16/STRANGER", authorization=basic("STRANGER", "x")) == 404


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_finds_nothing_at_the_door_by_plain_http(port: int, identity: str, method: str) -> None:
    request = f"{method} /ocpp16/{identity} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode()
    async with await send_request(port, request) as answer:
        assert answer.status == 404
    assert not ChargePoint.objects.get().channel_name


@pytest.mark.parametrize(
    "line",
    [
        "Sec-WebSocket-Protocol: ocpp1.6%FF",
        "Authorization: Basic \x01\x02",
        "Authorization: Basic é",
        "Cookie: " + "c" * 4000,
        "X-Forwarded-For: é",
    ],
)
async def test_survives_odd_headers(port: int, identity: str, line: str) -> None:
    async with await knock(port, f"/ocpp16/{identity}", more=line) as answer:
        assert answer.status in (101, 400)
    assert await status_of(port, f"/ocpp16/{identity}") == 101


async def test_changes_nothing_by_a_refused_attempt(connect: Any, make_charge_point: Any, port: int) -> None:
    row = make_charge_point(password=KEY.hex())
    client = await connect(row, KEY.hex())
    before = ChargePoint.objects.get()
    assert await status_of(port, f"/ocpp16/{row.identity}") == 401
    assert await status_of(port, f"/ocpp16/{row.identity}", protocols="ocpp2.0.1") == 400
    assert ChargePoint.objects.get().channel_name == before.channel_name
    assert ChargePoint.objects.get().address == before.address
    assert await client.call("Heartbeat")
