"""Sampled values as a table: a row for each moment, a column for each thing that was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from apikeys.admin.display import printable
from chargepoints.models import MeterValue

ENERGY = "Energy.Active.Import.Register"


class Readings(NamedTuple):
    """`rows` hold a moment, its contexts, and one text for each of `columns`."""

    columns: list[str]
    rows: list[tuple[Any, str, list[str]]]


def samples(meter_value: MeterValue) -> list[dict[str, Any]]:
    """The SampledValue objects; whatever else a charge point may have put among them is left out."""
    listed = meter_value.sampled_values if isinstance(meter_value.sampled_values, list) else []
    return [sample for sample in listed if isinstance(sample, dict)]


def column_of(sample: dict[str, Any]) -> str:
    """The measurand and, where they are told, its phase, and its location unless that is the outlet."""
    location = sample.get("location", "Outlet")
    parts = (sample.get("measurand", ENERGY), sample.get("phase"), None if location == "Outlet" else location)
    return printable(" ".join(str(part) for part in parts if part))


def text_of(sample: dict[str, Any]) -> str:
    """The value with its unit, which OCPP 1.6 section 7.43 lets energy leave out."""
    if sample.get("format") == "SignedData":
        return "signed data"
    energy = str(sample.get("measurand", ENERGY)).startswith("Energy.")
    return printable(f"{sample.get('value', '')} {sample.get('unit', 'Wh' if energy else '')}".strip())


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
