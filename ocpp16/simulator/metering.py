"""What a charge point's meter says: the MeterValue objects of OCPP, with their names in snake case."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connector import Connector

ENERGY = "Energy.Active.Import.Register"
Sample = dict[str, Any]


def energy(connector: Connector) -> list[Sample]:
    if connector.make.energy_in_kwh:
        return [{"value": f"{connector.register_wh / 1000:.3f}", "unit": "kWh"}]
    return [{"value": str(connector.register_wh), "unit": "Wh"}]


def power(connector: Connector) -> list[Sample]:
    return [{"value": f"{connector.power:.1f}", "unit": "W"}]


def current(connector: Connector) -> list[Sample]:
    """Per phase on AC; the one of the cable on DC."""
    if connector.make.direct_current:
        return [{"value": f"{connector.power / connector.voltages[0]:.1f}", "unit": "A"}]
    phases = connector.phases
    amperes = [connector.power / phases / connector.voltages[phase] for phase in range(phases)]
    return [{"value": f"{value:.1f}", "phase": f"L{index}", "unit": "A"} for index, value in enumerate(amperes, 1)]


def voltage(connector: Connector) -> list[Sample]:
    if connector.make.direct_current:
        return [{"value": f"{connector.voltages[0]:.1f}", "unit": "V"}]
    measured = connector.voltages[: connector.make.phases]
    return [{"value": f"{value:.1f}", "phase": f"L{index}-N", "unit": "V"} for index, value in enumerate(measured, 1)]


def state_of_charge(connector: Connector) -> list[Sample]:
    if connector.vehicle is None:
        return []
    return [{"value": str(int(connector.vehicle.state_of_charge)), "location": "EV", "unit": "Percent"}]


MEASURANDS: dict[str, Callable[[Connector], list[Sample]]] = {
    ENERGY: energy,
    "Power.Active.Import": power,
    "Current.Import": current,
    "Voltage": voltage,
    "SoC": state_of_charge,
}


def meter_value(connector: Connector, moment: datetime, context: str, measurands: Iterable[str]) -> dict[str, Any]:
    """A MeterValue of what the connector's meter shows now."""
    samples = [
        {"context": context, "measurand": measurand, **sample}
        for measurand in measurands
        for sample in MEASURANDS[measurand](connector)
    ]
    if connector.make.leaves_out_defaults:
        samples = [without_defaults(sample) for sample in samples]
    return {"timestamp": connector.make.timestamp(moment), "sampled_value": samples}


def without_defaults(sample: Sample) -> Sample:
    """The sample without the fields that OCPP lets a charge point leave out."""
    defaults = {"context": "Sample.Periodic", "measurand": ENERGY, "unit": "Wh"}
    return {name: value for name, value in sample.items() if defaults.get(name) != value}
