"""What lists can be filtered by: parameters that are read as strictly as the members of a body."""

from __future__ import annotations

import re
from typing import Any

import django_filters
from django import forms
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.fields import Moment

LARGEST = 2**31 - 1


def describe(parameter: django_filters.Filter, schema: dict[str, Any]) -> None:
    """Say in the OpenAPI document what it takes, and what it is for: of a schema of ours that is not taken from it."""
    description = parameter.extra.get("help_text")
    extend_schema_field({**schema, **({"description": description} if description else {})})(parameter)


class MomentField(forms.CharField):
    default_error_messages = {
        "invalid": f"{Moment.default_error_messages['invalid'].rstrip('.')}; in a URL, + is written %%2B."
    }

    def to_python(self, value: Any) -> Any:
        try:
            return None if value in self.empty_values else Moment().to_internal_value(value)
        except serializers.ValidationError:
            raise forms.ValidationError(self.error_messages["invalid"]) from None


class NumberField(forms.CharField):
    def __init__(self, *, smallest: int = 0, **options: Any) -> None:
        self.smallest = smallest
        super().__init__(**options)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        if not re.fullmatch(r"-?[0-9]{1,10}", value) or not self.smallest <= int(value) <= LARGEST:
            raise forms.ValidationError(f"Must be a whole number from {self.smallest} to {LARGEST}.")
        return int(value)


class OneOf(django_filters.ChoiceFilter):
    """One of some words, spelled exactly so."""

    def __init__(self, words: Any, **options: Any) -> None:
        refusal = {"invalid_choice": f"Must be one of: {', '.join(words)}."}
        super().__init__(choices=[(word, word) for word in words], error_messages=refusal, **options)


class Flag(django_filters.TypedChoiceFilter):
    """`true` or `false`, of a column, or as the filter set's `method` has it."""

    def __init__(self, **options: Any) -> None:
        words, refusal = [("true", "true"), ("false", "false")], {"invalid_choice": "Must be true or false."}
        options |= {"choices": words, "error_messages": refusal, "coerce": lambda word: word == "true"}
        super().__init__(empty_value=None, **options)
        describe(self, {"type": "boolean"})


class Text(django_filters.CharFilter):
    """Text, exactly as it is stored."""

    def __init__(self, **options: Any) -> None:
        super().__init__(strip=False, max_length=255, **options)


class Number(django_filters.Filter):
    """A whole number of 32 bits, from `smallest` on."""

    field_class = NumberField

    def __init__(self, *, smallest: int = 0, **options: Any) -> None:
        super().__init__(smallest=smallest, **options)
        describe(self, {"type": "integer", "minimum": smallest, "maximum": LARGEST})


def any_number(help_text: str) -> Number:
    """A number of 32 bits, negative ones too."""
    return Number(smallest=-LARGEST - 1, help_text=help_text)


class Moments(django_filters.Filter):
    """Rows on one side of a time."""

    field_class = MomentField
    comparison: str

    def __init__(self, field_name: str, **options: Any) -> None:
        super().__init__(field_name, self.comparison, help_text=self.__doc__, **options)
        describe(self, {"type": "string", "format": "date-time"})


class Since(Moments):
    """At that time or later."""

    comparison = "gte"


class Before(Moments):
    """Before that time."""

    comparison = "lt"


class OfChargePoint(django_filters.FilterSet):
    """Rows of charge points: those of one, and of one of its connectors or whatever else it counts by itself."""

    counted: tuple[str, ...] = ("connector_id",)
    charge_point_id = Text(field_name="charge_point__identity", help_text="Of this charge point only.")
    connector_id = Number(help_text="Of this connector only, together with `charge_point_id`.")

    def is_valid(self) -> bool:
        given = self.form.cleaned_data if super().is_valid() else {}
        for name in self.counted:
            if given.get(name) is not None and not given.get("charge_point_id"):
                self.form.add_error(name, "Needs charge_point_id: each charge point counts its own.")
        return not self.form.errors
