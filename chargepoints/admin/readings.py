"""Sampled values as a table: a row for each moment, a column for each thing that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from apikeys.admin.display import printable
from chargepoints.models import MeterValue
from chargepoints.readings import IMPORT_REGISTER as ENERGY
from chargepoints.readings import objects, unit_of


class Readings(NamedTuple):
    """`rows` hold a moment, its contexts, and one text for each of `columns`."""

    columns: list[str]
    rows: list[tuple[Any, str, list[str]]]


def samples(meter_value: MeterValue) -> list[dict[str, Any]]:
    return objects(meter_value.sampled_values)


def column_of(sample: dict[str, Any]) -> str:
    """The measurand and, where they are told, its phase, and its location unless that is the outlet."""
    location = sample.get("location", "Outlet")
    parts = (sample.get("measurand", ENERGY), sample.get("phase"), None if location == "Outlet" else location)
    return printable(" ".join(str(part) for part in parts if part))


def text_of(sample: dict[str, Any]) -> str:
    """The value with its unit."""
    if sample.get("format") == "SignedData":
        return "signed data"
    return printable(f"{sample.get('value', '')} {unit_of(sample) or ''}".strip())


def table(meter_values: Iterable[MeterValue]) -> Readings:
    moments = [(row, {column_of(sample): text_of(sample) for sample in samples(row)}) for row in meter_values]
    columns = sorted({column for _, values in moments for column in values}, key=lambda name: (name != ENERGY, name))
    rows = [(row, contexts(row), [values.get(column, "") for column in columns]) for row, values in moments]
    return Readings(columns, rows)


def contexts(meter_value: MeterValue) -> str:
    named = dict.fromkeys(str(sample.get("context", "Sample.Periodic")) for sample in samples(meter_value))
    return printable(", ".join(named))


def summary(meter_value: MeterValue, shown: int = 3) -> str:
    """The first samples of one moment in one line, and how many more there are."""
    listed = samples(meter_value)
    texts = [f"{column_of(sample)} {text_of(sample)}" for sample in listed[:shown]]
    more = [f"{len(listed) - shown} more"] if len(listed) > shown else []
    return ", ".join([*texts, *more])
