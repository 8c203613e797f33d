"""Passwords in what charge points send back: some answer an error with the whole request, some tell their own."""

from __future__ import annotations

import json
from typing import Any

SECRET = "authorizationkey"  # noqa: S105  the name of the configuration key, in whatever case
MASK = "***"
UNREADABLE = "(not logged: it names an AuthorizationKey and is no JSON)"


def hidden(value: Any) -> Any:
    """The JSON value without the values of an AuthorizationKey; a text that quotes one is hidden whole."""
    if isinstance(value, dict):
        is_secret = any(name.lower() == "key" and str(inner).lower() == SECRET for name, inner in value.items())
        return {name: MASK if is_secret and name.lower() == "value" else hidden(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [hidden(inner) for inner in value]
    is_quoted = isinstance(value, str) and len(value) > len(SECRET) and SECRET in value.lower()
    return MASK if is_quoted else value


def loggable(frame: str) -> str:
    """The frame as the message log may hold it: untouched, unless it names an AuthorizationKey."""
    if SECRET not in frame.lower():
        return frame
    try:
        return json.dumps(hidden(json.loads(frame)), separators=(",", ":"))
    except (ValueError, RecursionError):
        return UNREADABLE
