"""Passwords of charge points: the AuthorizationKey of OCPP 1.6 security profiles 1 and 2."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

HEX_KEY = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,20}")
SALT_LENGTH = 16


def generate_password() -> str:
    """A new AuthorizationKey of 20 random bytes, as the 40 hex characters in which it is typed into hardware."""
    return secrets.token_hex(20)


def canonical(password: bytes) -> bytes:
    """The key's raw bytes: charge points send 16-20 bytes raw, or as 32-40 hex characters of the same key."""
    if HEX_KEY.fullmatch(password):
        return bytes.fromhex(password.decode("ascii"))
    return password


def make_digest(password: bytes) -> str:
    """Salted HMAC-SHA256; keys are random, so PBKDF2 would only choke a storm of reconnects."""
    salt = secrets.token_bytes(SALT_LENGTH)
    return salt.hex() + hmac.digest(salt, canonical(password), hashlib.sha256).hex()


def check_digest(password: bytes, stored: str) -> bool:
    """Whether `password`, raw or in hex, is the one that `stored` was made of, in constant time."""
    salt, expected = bytes.fromhex(stored[: SALT_LENGTH * 2]), stored[SALT_LENGTH * 2 :]
    return hmac.compare_digest(hmac.digest(salt, canonical(password), hashlib.sha256).hex(), expected)
