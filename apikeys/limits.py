"""What a key can be confined to, beside its scopes. None is no limit."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError

from .actions import COMMAND_ACTIONS

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAXIMUM_CHARGE_POINTS, MAXIMUM_ADDRESSES = 500, 100
MAXIMUM_RATE = 1_000_000
IDENTITY_LENGTH = 48
NOT_A_NETWORK = "Must be an address, or a network such as 203.0.113.0/24 or 2001:db8::/32."


@lru_cache(1024)
def network(text: str) -> Network:
    """The network that `text` spells, of an address the one that holds it alone; raises ValueError."""
    return ipaddress.ip_network(text)


@lru_cache(1024)
def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether one of the networks holds the address; IPv4 on a socket that listens to both counts as IPv4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(parsed in network(each) for each in networks)


def names_more(asked: Sequence[str] | None, own: Sequence[str] | None) -> bool:
    """Whether one list lets more through than the other."""
    return own is not None and (asked is None or not set(asked) <= set(own))


def reaches_further(asked: Sequence[str] | None, own: Sequence[str] | None) -> bool:
    """The same for networks: whether there is an address in one list of them that is not in the other."""
    if own is None or asked is None:
        return own is not None
    return not all(any(holds(network(outer), network(inner)) for outer in own) for inner in asked)


def holds(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def validate_commands(names: Any) -> None:
    """Raise ValidationError unless `names` is a list of actions that go to charge points."""
    unknown = [name for name in names if name not in COMMAND_ACTIONS] if isinstance(names, list) else [names]
    if unknown:
        raise ValidationError(f"Unknown command: {', '.join(map(str, unknown))}.")


def validate_charge_points(identities: Any) -> None:
    """Raise ValidationError unless `identities` is a list of what charge points may be called."""
    if not isinstance(identities, list) or len(identities) > MAXIMUM_CHARGE_POINTS:
        raise ValidationError(f"A key is limited to at most {MAXIMUM_CHARGE_POINTS} charge points, or not at all.")
    if not all(isinstance(identity, str) and 0 < len(identity) <= IDENTITY_LENGTH for identity in identities):
        raise ValidationError(f"The id of a charge point has 1 to {IDENTITY_LENGTH} characters.")


def validate_addresses(networks: Any) -> None:
    """Raise ValidationError unless `networks` is a list of IPv4 and IPv6 networks."""
    if not isinstance(networks, list) or len(networks) > MAXIMUM_ADDRESSES:
        raise ValidationError(f"A key is limited to at most {MAXIMUM_ADDRESSES} networks, or not at all.")
    for each in networks:
        try:
            network(each)
        except ValueError:
            raise ValidationError(f"{each}: {NOT_A_NETWORK}") from None
