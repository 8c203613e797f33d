"""What the full text of an API key looks like, and what is stored of it."""

from __future__ import annotations

import hashlib
import re
import secrets

MODES = ("live", "test")
KEY_STARTS = tuple(f"dyn_{mode}_" for mode in MODES)
KEY_START = KEY_STARTS[False]
KEY_FORMAT = re.compile(r"dyn_(live|test)_[A-Za-z0-9_-]{40}")
PREFIX_LENGTH = len(KEY_START) + 8


def new_text(*, is_test: bool) -> str:
    return KEY_STARTS[is_test] + secrets.token_urlsafe(30)


def digest(key: str) -> str:
    """SHA-256 of a key in hex; a slow hash would buy nothing against its 240 bits of entropy."""
    return hashlib.sha256(key.encode()).hexdigest()
