"""Where webhooks may go, whatever a URL or a name server says."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import httpcore2
import pytest
from django.core.exceptions import ValidationError

from chargepoints.webhooks import addresses
from chargepoints.webhooks.addresses import AddressRefused, is_public, resolve, validate_url
from chargepoints.webhooks.client import Client
from tests.certificates import AUTHORITY, Authority
from tests.receiver import Receiver

pytestmark = pytest.mark.without_services

PUBLIC = ["1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:813::200e"]
PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808"),
    *("64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1"),
    *("5f00::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "not an address"),
]
GOOD = ["https://example.com", "https://example.com:8443/a/b?c=d", "https://1.1.1.1/", "https://[2606:4700::1111]/"]
BAD = [
    *("", "example.com", "http://example.com/", "ftp://example.com/", "https://", "https:///path", "//example.com"),
    *("https://user@example.com/", "https://user:secret@example.com/", "https://example.com/#part"),
    *("https://example.com:0/", "https://example.com:65536/", "https://example.com:x/", "https://exa mple.com/"),
    *("https://münchen.example/", "https://example.com/ü", "https://[::1/", "https://good.example\\@10.0.0.1/"),
    *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest"),
    *("https://example.com/\r\nHost: x", "https://ex*mple.com/", f"https://example.com/{'a' * 500}"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_knows_a_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_knows_an_address_that_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("url", GOOD)
def test_takes_a_url(url: str) -> None:
    validate_url(url)


@pytest.mark.parametrize("url", BAD)
def test_refuses_a_url(url: str) -> None:
    with pytest.raises(ValidationError):
        validate_url(url)


def test_takes_what_development_needs_where_it_is_asked_to(settings: Any) -> None:
    settings.DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
    for url in ("http://localhost:9000/", "http://127.0.0.1/", "https://[::1]/"):
        validate_url(url)
    with pytest.raises(ValidationError):
        validate_url("ftp://localhost/")


def answer_names(monkeypatch: pytest.MonkeyPatch, *found: str) -> list[str]:
    """Have every name stand for these addresses; returns the names that were asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "017700000001"])
async def test_refuses_this_machine_by_whatever_name(host: str) -> None:
    with pytest.raises(AddressRefused):
        await resolve(host, 443)


async def test_refuses_a_name_that_none_can_have() -> None:
    with pytest.raises(AddressRefused):
        await resolve("a" * 64 + ".example", 443)


async def test_refuses_a_name_of_which_one_address_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_names(monkeypatch, "1.1.1.1", "10.0.0.1")
    with pytest.raises(AddressRefused):
        await resolve("rebinding.example", 443)


async def test_sends_nothing_to_a_private_address() -> None:
    async with Receiver() as receiver:
        answer = await Client().post(receiver.url, {}, b"{}")
    assert receiver.connections == 0
    assert (answer.status_code, answer.is_success) == (None, False)
    assert answer.error == "The host has an address that is not public."


async def test_connects_to_the_address_that_it_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, connected = answer_names(monkeypatch, "1.1.1.1"), []

    async def connect(backend: Any, host: str, port: int, *_: Any) -> Any:
        connected.append((host, port))
        raise httpcore2.ConnectError("enough")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    await Client().post("https://receiver.example/hook", {}, b"{}")
    assert asked == ["receiver.example"]
    assert connected == [("1.1.1.1", 443)]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> ssl.SSLContext:
    """Of a receiver here that is `localhost` by the word of an authority that counts."""
    settings.DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
    authority = tmp_path / "authority.pem"
    authority.write_bytes(AUTHORITY.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    return context_of(AUTHORITY, tmp_path)


def context_of(authority: Authority, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.write(folder, "receiver", "receiver", host="127.0.0.1"))
    return context


async def test_asks_for_the_host_by_its_name_over_tls(context: ssl.SSLContext) -> None:
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    async with Receiver(context=context) as receiver:
        answer = await Client().post(receiver.url, {}, b"{}")
    assert answer.status_code == 200
    assert receiver.requests[0].headers["host"] == f"localhost:{receiver.port}"
    assert names == ["localhost"]


async def test_refuses_a_receiver_of_another_name(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_names(monkeypatch, "127.0.0.1")
    async with Receiver(context=context) as receiver:
        answer = await Client().post(f"https://other.example:{receiver.port}/", {}, b"{}")
    assert answer.status_code is None
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert receiver.requests == []


async def test_refuses_a_receiver_that_nobody_vouches_for(context: ssl.SSLContext, tmp_path: Path) -> None:
    async with Receiver(context=context_of(Authority.make("Somebody"), tmp_path)) as receiver:
        answer = await Client().post(receiver.url, {}, b"{}")
    assert "CERTIFICATE_VERIFY_FAILED" in answer.error
    assert receiver.requests == []


async def test_asks_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.DYNAMO_WEBHOOK_PRIVATE_ADDRESSES = True
    async with Receiver() as proxy, Receiver() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await Client().post(receiver.url, {}, b"{}")).is_success
    assert proxy.connections == 0


async def test_waits_for_no_name_server_longer_than_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargepoints.webhooks.client.SECONDS", 0.1)
    answered = threading.Event()
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: answered.wait(10) and [])
    answer = await Client().post("https://slow.example/", {}, b"{}")
    answered.set()
    assert answer.error == "No whole answer within 0.1 seconds."
