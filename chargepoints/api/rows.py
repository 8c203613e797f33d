"""Rows of the database as the API tells them."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models
from rest_framework import serializers

T = TypeVar("T", bound=models.Model)


class TextOrNull(serializers.CharField):
    """Text; null where there is none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "allow_null": True})

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) or None


class RowSerializer(serializers.ModelSerializer[T]):
    """A row to be read: text that may be missing is null where it is."""

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        if isinstance(model_field, models.CharField | models.TextField) and model_field.blank:
            return TextOrNull, {"read_only": True}
        kind, options = super().build_standard_field(field_name, model_field)
        told: dict[str, Any] = {
            name: options[name] for name in ("help_text", "allow_null", "choices") if name in options
        }
        return kind, {**told, "read_only": True}
