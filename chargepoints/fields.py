"""Fields of OCPP."""

from __future__ import annotations

from typing import Any

from rest_framework.fields import empty

from apikeys.fields import Text

from .models.authorization import ID_TAG_LENGTH


class IdTagText(Text):
    """OCPP's IdToken, a CiString20Type."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=ID_TAG_LENGTH, **options)


class OptionalText(Text):
    """Text that may be missing: null and '' are the same."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, **options)

    def run_validation(self, data: Any = empty) -> Any:
        return super().run_validation(data) or ""
