"""What processes of the product show at /metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from .servers import ServerProcess

Read = Callable[..., float]


def show(port: int) -> str:
    response = httpx2.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    assert response.status_code == 200
    return response.text


def total(text: str, name: str, labels: dict[str, str]) -> float:
    """The sum of what is shown under this name with these labels; 0 for nothing."""
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def read_at(port: int) -> Read:
    """`read(name, **labels)` is what a process shows."""
    return lambda name, **labels: total(show(port), name, labels)


def moves_of(servers: Sequence[ServerProcess]) -> Read:
    """`moved(name, **labels)` is by how much these processes together have moved it from now on."""
    before = [show(server.port) for server in servers]

    def moved(name: str, **labels: str) -> float:
        after = [show(server.port) for server in servers]
        return sum(total(text, name, labels) for text in after) - sum(total(text, name, labels) for text in before)

    return moved
