"""Keys that are limited to addresses, asked directly and through a proxy."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from apikeys.limits import is_within, reaches_further
from tests.api import error_of

PROXY, CLIENT, STRANGER = "127.0.0.9", "127.0.0.10", "127.0.0.11"
ENVIRONMENT = {"DYNAMO_PROXY_ADDRESSES": PROXY}
ME, KEYS, RESET = "/api/v1/me", "/api/v1/org/api-keys", "/api/v1/ocpp16/reset"
BODIES = {KEYS: {"name": "Portal", "scopes": ["read:sessions"]}, RESET: {"charge_point_id": "CP", "type": "Soft"}}
UNKNOWN = "dyn_live_" + "x" * 40


@pytest.fixture
def knock(server: Any) -> Any:
    """`await knock(key, address)`; behind the proxy, for an address that it names."""

    async def knock(key: str, address: str, said: str = "", path: str = ME, **more: str) -> httpx2.Response:
        headers = {"X-API-Key": key, **({"X-Forwarded-For": said} if said else {}), **more}
        transport = httpx2.AsyncHTTPTransport(local_address=address)
        async with httpx2.AsyncClient(transport=transport, headers=headers, timeout=30) as client:
            body, url = BODIES.get(path), f"http://127.0.0.1:{server.port}{path}"
            return await client.request("POST" if body else "GET", url, json=body)

    return knock


@pytest.mark.parametrize("networks", [[CLIENT], ["2001:db8::/32", f"{CLIENT}/32"], ["127.0.0.10/31"]])
async def test_takes_a_key_from_its_addresses(knock: Any, make_key: Any, networks: list[str]) -> None:
    assert (await knock(make_key(allowed_addresses=networks), CLIENT)).status_code == 200


@pytest.mark.parametrize("path", [ME, RESET])
async def test_takes_a_key_from_elsewhere_for_an_unknown_one(knock: Any, make_key: Any, path: str) -> None:
    elsewhere = await knock(make_key(allowed_addresses=[CLIENT]), STRANGER, path=path)
    unknown = await knock(UNKNOWN, STRANGER, path=path)
    assert error_of(elsewhere, 401, "unauthorized") == error_of(unknown, 401, "unauthorized")
    varying = {"date", "x-request-id"}
    assert {name: value for name, value in elsewhere.headers.items() if name not in varying} == {
        name: value for name, value in unknown.headers.items() if name not in varying
    }


async def test_repeats_an_answer_to_nobody_elsewhere(knock: Any, make_key: Any) -> None:
    key, once = make_key(allowed_addresses=[CLIENT]), {"Idempotency-Key": "order-66"}
    first = await knock(key, CLIENT, path=KEYS, **once)
    assert first.status_code == 201
    error_of(await knock(key, STRANGER, path=KEYS, **once), 401, "unauthorized")
    assert (await knock(key, CLIENT, path=KEYS, **once)).content == first.content


@pytest.mark.parametrize(("said", "status"), [("203.0.113.7", 200), ("2001:db8::7", 200), ("198.51.100.1", 401)])
async def test_believes_the_proxy_about_the_address(knock: Any, make_key: Any, said: str, status: int) -> None:
    key = make_key(allowed_addresses=["203.0.113.0/24", "2001:db8::/32"])
    assert (await knock(key, PROXY, said)).status_code == status


async def test_believes_nobody_else_about_the_address(knock: Any, make_key: Any) -> None:
    error_of(await knock(make_key(allowed_addresses=["203.0.113.7"]), STRANGER, "203.0.113.7"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.0.0.1", False),
        ("::a01:203", False),
        ("", False),
        ("x", False),
    ],
)
def test_counts_ipv4_on_a_socket_for_both_as_ipv4(address: str, is_in: bool) -> None:
    assert is_within(address, ("10.0.0.0/8",)) is is_in


@pytest.mark.parametrize(
    ("asked", "own", "is_further"),
    [
        (None, None, False),
        (["0.0.0.0/0"], None, False),
        (None, ["0.0.0.0/0"], True),
        (["10.1.0.0/16", "2001:db8:1::/48"], ["10.0.0.0/8", "2001:db8::/32"], False),
        (["10.0.0.0/8"], ["10.1.0.0/16"], True),
        (["10.0.0.0/8", "11.0.0.0/8"], ["10.0.0.0/8"], True),
        (["::/0"], ["0.0.0.0/0"], True),
    ],
)
def test_knows_which_networks_reach_further(asked: Any, own: Any, is_further: bool) -> None:
    assert reaches_further(asked, own) is is_further
