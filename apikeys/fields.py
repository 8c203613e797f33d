"""Fields that take what the API's reference says and nothing that merely looks like it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, cast

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .clock import written

# ISO 8601 in its extended form, with an offset: a time without one would be a guess.
DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d(:?\d\d)?)", re.ASCII)

MAXIMUM_PER_PAGE = 200


class Integer(serializers.IntegerField):
    """A JSON integer of 32 bits; neither `true`, nor `1.0`, nor `"1"`."""

    default_error_messages = {
        "invalid": "Must be an integer.",
        "min_value": "Must be at least {min_value}.",
        "max_value": "Must be at most {max_value}.",
    }

    def __init__(self, *, min_value: int = -(2**31), max_value: int = 2**31 - 1, **options: Any) -> None:
        super().__init__(min_value=min_value, max_value=max_value, **options)

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self.fail("invalid")
        return data


class Count(serializers.IntegerField):
    """A whole number as a query string writes it: digits only."""

    default_error_messages = {
        "invalid": "Must be a whole number.",
        "min_value": "Must be at least {min_value}.",
        "max_value": "Must be at most {max_value}.",
    }

    def to_internal_value(self, data: Any) -> int:
        if not re.fullmatch(r"[0-9]{1,18}", data):
            self.fail("invalid")
        return int(data)


class Text(serializers.CharField):
    """A JSON string, kept as it is: no trimming, and no number read as text."""

    default_error_messages = {"invalid": "Must be a string."}

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class Choice(serializers.ChoiceField):
    """One of some words, spelled exactly so."""

    default_error_messages = {"invalid_choice": "Must be one of: {choices}."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(self.choices))
        return data


@extend_schema_field(OpenApiTypes.DATETIME)
class Moment(serializers.Field):
    """A time in ISO 8601 with an offset; in UTC, to the second."""

    default_error_messages = {"invalid": "Must be an ISO 8601 time with an offset, such as 2030-01-31T17:00:00Z."}

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str) or not DATETIME.fullmatch(data):
            self.fail("invalid")
        try:
            return datetime.fromisoformat(data).astimezone(UTC).replace(microsecond=0)
        except (ValueError, OverflowError):
            self.fail("invalid")

    def to_representation(self, value: datetime) -> str:
        return written(value)


@extend_schema_field(OpenApiTypes.OBJECT)
class JSONObject(serializers.Field):
    """Any JSON object."""

    default_error_messages = {"invalid": "Must be an object."}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses members it does not know."""

    default_error_messages = {"invalid": "Must be an object."}

    def to_internal_value(self, data: Any) -> Any:
        names = data if isinstance(data, dict) else {}
        unknown: dict[str, Any] = {name: ["Unknown field."] for name in names if name not in self.fields}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            unknown |= cast(dict[str, Any], error.detail)
            raise serializers.ValidationError(unknown) from None
        if unknown:
            raise serializers.ValidationError(unknown)
        return values


class Boolean(serializers.BooleanField):
    """JSON's `true` or `false`; neither 1, nor "yes"."""

    default_error_messages = {"invalid": "Must be true or false."}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class PageQuery(serializers.Serializer[Any]):
    """The query string of a list that is given by page."""

    page = Count(min_value=1, default=1)
    per_page = Count(min_value=1, max_value=MAXIMUM_PER_PAGE, default=50)
