"""Passwords in what charge points send back: some answer an error with the whole request, some tell their own."""

from __future__ import annotations

import json
import string
from typing import Any

SECRET = "authorizationkey"  # noqa: S105  the name of the configuration key, in whatever case
SHORTEST = 16
MASK = "***"
UNREADABLE = "(not logged: it names an AuthorizationKey and is no JSON)"


def hidden(value: Any) -> Any:
    """The JSON value without the values of an AuthorizationKey; a text that quotes one is hidden whole."""
    if isinstance(value, dict):
        is_secret = any(name.lower() == "key" and str(inner).lower() == SECRET for name, inner in value.items())
        return {
            name: MASK if is_secret and name.lower() == "value" else hidden_member(name, inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [hidden(inner) for inner in value]
    return MASK if isinstance(value, str) and quotes_password(value.lower()) else value


def hidden_member(name: str, value: Any) -> Any:
    """The value of a member; hidden whole where the name itself is that of the key, and it may hold a password."""
    return MASK if SECRET in name.lower() and isinstance(value, str | list | dict) else hidden(value)


def quotes_password(text: str) -> bool:
    """Whether a text in lower case names an AuthorizationKey and may hold its value, of 16 characters or more."""
    if SECRET not in text:
        return False
    words = (word.strip(string.punctuation) for word in text.split())
    return "value" in text or any(len(word) >= SHORTEST and word != SECRET for word in words)


def loggable(frame: str) -> str:
    """The frame as the message log may hold it: untouched, unless it names an AuthorizationKey."""
    if SECRET not in frame.lower():
        return frame
    try:
        return json.dumps(hidden(json.loads(frame)), separators=(",", ":"))
    except (ValueError, RecursionError):
        return UNREADABLE
