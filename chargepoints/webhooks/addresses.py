"""Where webhooks may go: a tenant's URL must not lead to what only this machine or its network may reach."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError

URL_LENGTH = 500
PRINTABLE = re.compile(r"[!-~]+")
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
# Of the whole of IPv6 only this has been given to the public.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# IPv4 in disguise, where whoever routes it decides where it leads (Teredo, 6to4 and its relays), and examples.
REFUSED = [ipaddress.ip_network(text) for text in ("2001::/32", "2002::/16", "192.88.99.0/24", "3fff::/20")]

# Of their own: a name server that does not answer must not take the threads of others.
_threads = ThreadPoolExecutor(8, thread_name_prefix="webhook-names")


class AddressRefused(Exception):
    """A host whose address webhooks must not be sent to."""


def is_public(address: str) -> bool:
    """Whether it is an address that anybody on the internet has, and the same for everybody."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # an address of one link, with its zone
        return False
    if found.version == 6 and found not in GLOBAL_UNICAST:
        return False  # loopback, link-local, private, multicast, and IPv4 that is mapped or translated
    if any(found in network for network in REFUSED if network.version == found.version):
        return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def validate_url(url: str) -> None:
    """Raise ValidationError unless webhooks may be sent to this URL, as far as it tells by itself."""
    if len(url) > URL_LENGTH or not PRINTABLE.fullmatch(url):
        raise ValidationError(f"Must have at most {URL_LENGTH} characters, all of them printable ASCII.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValidationError("Not a URL.") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.DYNAMO_WEBHOOK_PRIVATE_ADDRESSES):
        raise ValidationError("Must begin with https://.")
    if parts.username is not None or parts.password is not None or parts.fragment or port == 0:
        raise ValidationError("Must have no user name, password or fragment, and a possible port.")
    validate_host(host)


def validate_host(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not HOST.fullmatch(host):
            raise ValidationError("Must name a host; one in other letters by its xn-- form.") from None
        return
    if not is_allowed(host):
        raise ValidationError("Must not lead to a private address.")


def is_allowed(address: str) -> bool:
    return settings.DYNAMO_WEBHOOK_PRIVATE_ADDRESSES or is_public(address)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, to be connected to as they are: asked again, it could name others.

    Raises AddressRefused if one is not allowed, OSError if there is none.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError:
        raise AddressRefused("The host has a name that none can have.") from None
    addresses = [*dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)]
    if not all(is_allowed(address) for address in addresses):
        raise AddressRefused("The host has an address that is not public.")
    return addresses
