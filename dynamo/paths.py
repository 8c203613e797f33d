"""How the details of an error name a place in a body: `payload.key[1]`."""

from __future__ import annotations

from collections.abc import Iterable


def child(path: str, step: str | int) -> str:
    """The path of a member of an object, or of an item of a list."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    name = step or '""'
    return f"{path}.{name}" if path else name


def path_of(steps: Iterable[str | int]) -> str:
    path = ""
    for step in steps:
        path = child(path, step)
    return path
