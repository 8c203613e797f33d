"""What a charge point may be called."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError

IDENTITY_LENGTH = 48
IDENTITY_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/:\ud800-\udfff]")


def validate_identity(identity: str) -> None:
    """Raise ValidationError unless `identity` can stand in a URL path and as a Basic user name."""
    if not identity or len(identity) > IDENTITY_LENGTH or identity.strip() != identity:
        raise ValidationError(f"An identity has 1 to {IDENTITY_LENGTH} characters and no space at either end.")
    if IDENTITY_FORBIDDEN.search(identity) or identity in (".", ".."):
        raise ValidationError("An identity cannot contain a slash, a colon or a control character.")
