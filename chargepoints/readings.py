"""What sampled values say."""

from __future__ import annotations

import math
from decimal import Decimal, DecimalException
from typing import Any

IMPORT_REGISTER = "Energy.Active.Import.Register"
WATT_HOURS = {"": Decimal(1), "Wh": Decimal(1), "kWh": Decimal(1000)}
PHASES = {"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"}
# Beyond this a reading is no energy that a connector delivers, and no integer of the database.
LARGEST = Decimal(2**62)


def objects(sampled_values: Any) -> list[dict[str, Any]]:
    """The SampledValue objects; whatever else a charge point may have put among them is left out."""
    listed = sampled_values if isinstance(sampled_values, list) else []
    return [sample for sample in listed if isinstance(sample, dict)]


def energy_wh(sampled_values: list[dict[str, Any]]) -> int | None:
    """The import register in Wh among these samples: the total, or the sum of phases where only they are given."""
    samples = [sample for sample in sampled_values if sample.get("measurand", IMPORT_REGISTER) == IMPORT_REGISTER]
    outlet = [sample for sample in samples if sample.get("location", "Outlet") == "Outlet"] or samples
    totals = [watt_hours(sample) for sample in outlet if not sample.get("phase")]
    for value in reversed(totals):
        if value is not None:
            return int(value)
    # One value for each phase, the last: begin and end, or L1 and L1-N, are not to be added up.
    by_phase = [(sample["phase"][:2], watt_hours(sample)) for sample in outlet if sample.get("phase") in PHASES]
    phases = {phase: value for phase, value in by_phase if value is not None}
    total = sum(phases.values(), Decimal())
    return int(total) if phases and abs(total) < LARGEST else None


def watt_hours(sample: dict[str, Any]) -> Decimal | None:
    """One sample in Wh; None if it is signed data, of another unit, or no number."""
    factor = WATT_HOURS.get(sample.get("unit", ""))
    if factor is None or sample.get("format", "Raw") != "Raw":
        return None
    try:
        value = Decimal(sample["value"].strip()) * factor
    except DecimalException:
        return None
    return value if value.is_finite() and abs(value) < LARGEST else None


def number(sample: dict[str, Any]) -> int | float | None:
    """The value of a sample in its own unit; None if it is signed data or no number."""
    try:
        value = float(Decimal(str(sample.get("value")).strip()))
    except (DecimalException, OverflowError):
        return None
    if sample.get("format", "Raw") != "Raw" or not math.isfinite(value):
        return None
    return int(value) if value.is_integer() and abs(value) < LARGEST else value


def unit_of(sample: dict[str, Any]) -> str | None:
    """The unit of a sample, which OCPP 1.6 section 7.43 lets energy leave out."""
    is_energy = str(sample.get("measurand", IMPORT_REGISTER)).startswith("Energy.")
    return str(sample["unit"]) if sample.get("unit") else "Wh" if is_energy else None
