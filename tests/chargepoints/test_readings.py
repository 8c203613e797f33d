"""What sampled values say about energy, as charge points write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargepoints.readings import IMPORT_REGISTER, energy_wh

pytestmark = pytest.mark.without_services


def sample(value: str, **more: str) -> dict[str, Any]:
    return {"value": value, "measurand": IMPORT_REGISTER, **more}


@pytest.mark.parametrize(
    ("samples", "energy"),
    [
        ([{"value": "1500"}], 1500),
        ([sample("1500", unit="Wh")], 1500),
        ([sample("1.5", unit="kWh")], 1500),
        ([sample(" 1500.9 ")], 1500),
        ([sample("-5")], -5),
        ([sample("1e3")], 1000),
        ([sample(str(2**31 + 1))], 2**31 + 1),
        ([sample("230", measurand="Voltage", unit="V"), sample("7")], 7),
        ([sample("1", phase="L1"), sample("2", phase="L2"), sample("3", phase="L3")], 6),
        ([sample("1", phase="L1", unit="kWh"), sample("2", phase="L2", unit="kWh")], 3000),
        ([sample("1", phase="L1"), sample("60"), sample("2", phase="L2")], 60),
        ([sample("1", phase="L1-N"), sample("2", phase="L2-N"), sample("9", phase="L1-L2")], 3),
        ([sample("1"), sample("2")], 2),
        ([sample("9", location="Inlet"), sample("5", location="Outlet")], 5),
        ([sample("9", location="Inlet")], 9),
        ([sample("7", context="Sample.Clock")], 7),
    ],
)
def test_finds_the_import_register(samples: list[dict[str, Any]], energy: int) -> None:
    assert energy_wh(samples) == energy


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [sample("")],
        [sample("n/a")],
        [sample("NaN")],
        [sample("sNaN")],
        [sample("Infinity")],
        [sample("1e400")],
        [sample("1e999999999999")],
        [sample("1e999999", unit="kWh")],
        [sample(str(2**63))],
        [sample(str(2**62 - 1), phase=phase) for phase in ("L1", "L2", "L3")],
        [sample("5", unit="varh")],
        [sample("00ff" * 500, format="SignedData")],
        [sample("12", format="SignedData")],
        [sample("5", measurand="Energy.Active.Export.Register")],
        [sample("5", measurand="Energy.Active.Import.Interval")],
    ],
)
def test_invents_no_energy(samples: list[dict[str, Any]]) -> None:
    assert energy_wh(samples) is None


@given(st.text(), st.sampled_from(["Wh", "kWh"]))
def test_reads_or_ignores_any_value(value: str, unit: str) -> None:
    energy = energy_wh([sample(value, unit=unit)])
    assert energy is None or abs(energy) < 2**63
