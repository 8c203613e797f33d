"""What a request says of a peer behind a proxy, and which proxies are believed."""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import Any

from django.conf import settings

FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"
# Some proxies write the port behind the address.
WITH_PORT = re.compile(r"\[([^]]+)\](?::\d+)?|([\d.]+):\d+")
SECURE = {"https", "wss"}


def sift(headers: Any, peer: str) -> None:
    """Leave of what is said of the client one address and one scheme, and only what a proxy of ours says."""
    headers.removeHeader("Daphne-Root-Path")  # Daphne would believe anybody
    if not is_proxy(peer):
        if headers.hasHeader(FOR) or headers.hasHeader(PROTO):
            headers.addRawHeader("Via", "a proxy that is not ours")  # what asks through one is not this machine
        for name in filter(None, (FOR, PROTO, settings.DYNAMO_CLIENT_CERTIFICATE_HEADER)):
            headers.removeHeader(name)
        return
    headers.setRawHeaders(PROTO, [scheme(values(headers, PROTO))])
    headers.setRawHeaders(FOR, [client_address(values(headers, FOR), peer)])


def values(headers: Any, name: str) -> list[str]:
    lines = ",".join(headers.getRawHeaders(name, []))
    return [value.strip() for value in lines.split(",") if value.strip()]


def scheme(said: list[str]) -> str:
    """`https` where every proxy on the way was reached by TLS."""
    return "https" if said and SECURE.issuperset(word.lower() for word in said) else "http"


def client_address(said: list[str], peer: str) -> str:
    """The nearest address that is no proxy of ours: what stands before it the client may have made up."""
    nearest = peer
    for word in reversed(said):
        address = address_in(word)
        if address is None:
            break
        nearest = str(address)
        if not is_proxy(nearest):
            break
    return nearest


@functools.lru_cache(1024)
def is_proxy(peer: str) -> bool:
    address = address_in(peer)
    return address is not None and any(address in network for network in settings.DYNAMO_PROXY_ADDRESSES)


def address_in(word: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a word of X-Forwarded-For spells, or None."""
    found = WITH_PORT.fullmatch(word)
    try:
        address = ipaddress.ip_address((found[1] or found[2]) if found else word)
    except ValueError:
        return None
    # IPv4 on a socket that listens to both.
    return getattr(address, "ipv4_mapped", None) or address
