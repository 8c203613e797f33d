"""Secrets of webhook endpoints, and what their receivers verify."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from functools import cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

SECRET_START = "whsec_"  # noqa: S105  only how they begin


class SecretUnreadable(Exception):
    """A secret that was sealed with another DYNAMO_SECRET_KEY."""


def new_secret() -> str:
    """A secret as the Standard Webhooks specification writes it."""
    return SECRET_START + base64.b64encode(secrets.token_bytes(32)).decode()


@cache
def _box(secret_key: str) -> Fernet:
    key = HKDF(SHA256(), 32, salt=None, info=b"dynamo webhook secrets").derive(secret_key.encode())
    return Fernet(base64.urlsafe_b64encode(key))


def seal(secret: str) -> str:
    """The secret as it is stored: signing needs it back, so a digest would not do."""
    return _box(settings.SECRET_KEY).encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str:
    try:
        return _box(settings.SECRET_KEY).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise SecretUnreadable from None


def is_readable(sealed: str) -> bool:
    try:
        unseal(sealed)
    except SecretUnreadable:
        return False
    return True


def signatures(identifier: str, timestamp: int, body: bytes, secrets: list[str]) -> dict[str, str]:
    """The headers that sign a request; of several secrets the first is the one that stays."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_standard(secret, signed)}" for secret in secrets),
        "X-Dynamo-Signature": f"sha256={hmac.new(secrets[0].encode(), body, hashlib.sha256).hexdigest()}",
    }


def _standard(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_START))
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
