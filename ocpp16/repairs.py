"""Repairs of payloads whose meaning can be read all the same. No I/O.

One walk along the schema, so that a large message with a fault in every sample costs little more than a good one.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

UNREADABLE = object()
# A fraction of a watt-hour is not worth a session.
METERS = ("meterStart", "meterStop")


class Repair:
    """Reads payloads of one action by its schema; `findings` {kind: detail} takes the first repair of each place."""

    def __init__(self, action: str, findings: dict[str, str]) -> None:
        self.action, self.findings = action, findings

    def payload(self, schema: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
        """A copy, mended as far as its meaning can be read; what is left of a required member may still be invalid."""
        required = schema["required"]
        read = self.members(schema, payload, "", required)
        for name in required:
            if read.get(name) is UNREADABLE:
                read[name] = payload[name]
        return {name: value for name, value in read.items() if value is not UNREADABLE}

    def found(self, place: str, detail: str) -> None:
        """Note a repair by its place, whatever the position in a list."""
        self.findings.setdefault(f"{self.action}.{place}"[:120], detail[:500])

    def members(
        self, schema: dict[str, Any], holder: dict[str, Any], place: str, vital: Collection[str] = ()
    ) -> dict[str, Any]:
        """The known members, each mended or UNREADABLE; one that is null counts as not given, unless it is vital."""
        properties, read = schema["properties"], {}
        for name, value in holder.items():
            if name not in properties:
                self.found(f"{place}*", f"unknown field {name}")
            elif value is not None:
                read[name] = self.value(properties[name], value, place + name, name in vital)
            elif name in vital:
                read[name] = value
            else:
                self.found(place + name, "None has the wrong type")
        return read

    def value(self, schema: dict[str, Any], value: Any, place: str, is_vital: bool) -> Any:
        kind = schema["type"]
        if kind == "string":
            return self.text(schema, value, place, is_vital)
        if kind == "integer":
            return self.integer(value, place)
        return self.items(schema, value, place)

    def text(self, schema: dict[str, Any], value: Any, place: str, is_vital: bool) -> Any:
        """Text as long as is allowed, also of a number unless it is vital; a word of the vendor's own as it came."""
        if not is_vital and (type(value) is int or (type(value) is float and math.isfinite(value))):
            self.found(place, f"{value!r} has the wrong type")
            value = str(value)
        if not isinstance(value, str):
            return self.unreadable(place, value)
        limit, words = schema.get("maxLength", len(value)), schema.get("enum")
        if len(value) > limit:
            self.found(place, f"{len(value)} characters where {limit} are allowed")
        if words is not None and value not in words:
            self.found(place, f"{value[:100]!r} is no word of OCPP")
        return value[:limit]

    def integer(self, value: Any, place: str) -> Any:
        if type(value) is int:
            return value
        if type(value) is not float or not math.isfinite(value) or not (value.is_integer() or place in METERS):
            return self.unreadable(place, value)
        self.found(place, f"{value!r} has the wrong type")
        return round(value)

    def items(self, schema: dict[str, Any], value: Any, place: str) -> Any:
        """The list without what cannot be read; an empty one does no harm."""
        if not isinstance(value, list):
            return self.unreadable(place, value)
        read = [self.item(schema["items"], item, place) for item in value]
        kept = [item for item in read if item is not UNREADABLE]
        if len(kept) < schema.get("minItems", 0):
            self.found(place, "nothing in the list")
        return kept

    def item(self, schema: dict[str, Any], value: Any, place: str) -> Any:
        """A reading or a sample; a reading without its time does no harm."""
        if not isinstance(value, dict):
            return self.unreadable(place, value)
        read = self.members(schema, value, f"{place}.")
        for name in schema["required"]:
            if name not in read:
                self.found(place, f"{name} is missing")
                if name != "timestamp":
                    return UNREADABLE
        return UNREADABLE if UNREADABLE in read.values() else read

    def unreadable(self, place: str, value: Any) -> Any:
        self.found(place, f"dropped: {value!r:.100}")
        return UNREADABLE
