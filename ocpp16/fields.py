"""Fields that only commands have."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers


@extend_schema_field({"type": "number", "minimum": 0, "multipleOf": 0.1})
class Rate(serializers.Field):
    """A charging rate: a number from 0 up, with at most one decimal (OCPP 1.6 section 7.14)."""

    default_error_messages = {
        "invalid": "Must be a number.",
        "min_value": "Must be at least 0.",
        "max_decimals": "Must have at most one decimal.",
    }

    def to_internal_value(self, data: Any) -> int | float:
        if type(data) not in (int, float) or not math.isfinite(data):
            self.fail("invalid")
        if data < 0:
            self.fail("min_value")
        # The shortest text of a float is what the caller wrote; binary arithmetic would refuse 8.1.
        if int(Decimal(str(data)).normalize().as_tuple().exponent) < -1:
            self.fail("max_decimals")
        return data

    def to_representation(self, value: float) -> float:
        return value


def camel_case(name: str) -> str:
    """The OCPP spelling of a field name: `id_tag` is `idTag`."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
