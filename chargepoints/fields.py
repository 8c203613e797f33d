"""Fields of OCPP."""

from __future__ import annotations

from typing import Any

from apikeys.fields import Text

from .models.authorization import ID_TAG_LENGTH


class IdTagText(Text):
    """OCPP's IdToken, a CiString20Type."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=ID_TAG_LENGTH, **options)
