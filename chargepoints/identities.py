"""What a charge point may be called, and where it connects under that name."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ValidationError

IDENTITY_LENGTH = 48
IDENTITY_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/:\ud800-\udfff]")


def validate_identity(identity: str) -> None:
    """Raise ValidationError unless `identity` can stand in a URL path and as a Basic user name."""
    if not identity or len(identity) > IDENTITY_LENGTH or identity.strip() != identity:
        raise ValidationError(f"An identity has 1 to {IDENTITY_LENGTH} characters and no space at either end.")
    if IDENTITY_FORBIDDEN.search(identity) or identity in (".", ".."):
        raise ValidationError("An identity cannot contain a slash, a colon or a control character.")


def socket_url(request: Any, identity: str) -> str:
    """The URL to type into the charge point, as this server is reached now."""
    scheme = "wss" if request.is_secure() else "ws"
    return f"{scheme}://{request.get_host()}/ocpp16/{quote(identity, safe='')}"
