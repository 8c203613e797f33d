"""What every log line says of its occasion: the request, the charge point, the message that is being handled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from types import MappingProxyType

_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))


@contextmanager
def bound(**fields: str) -> Iterator[None]:
    """Add fields to the log lines that are written inside, also by tasks and threads started there; '' adds nothing."""
    token = _fields.set({**_fields.get(), **_said(fields)})
    try:
        yield
    finally:
        _fields.reset(token)


def context(**fields: str) -> Context:
    """A context in which log lines say these fields and no others."""
    copied = copy_context()
    copied.run(_fields.set, _said(fields))
    return copied


def _said(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def current() -> Mapping[str, str]:
    return _fields.get()
