"""Charging profiles that the charge point accepted, until they are replaced, cleared or over."""

from __future__ import annotations

from typing import Any

import pytest

from chargepoints.models import ChargingProfile

PROFILE = {
    "chargingProfileId": 101,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": {
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7400}],
    },
}


async def install(command: Any, answer: str = "Accepted", connector_id: int = 1, **changes: Any) -> Any:
    return await command(
        "set_charging_profile", answer, connector_id=connector_id, charging_profile={**PROFILE, **changes}
    )


def installed() -> list[int]:
    return sorted(ChargingProfile.objects.active().values_list("charging_profile_id", flat=True))


async def test_keeps_an_accepted_profile(command: Any, row: Any) -> None:
    await install(command)
    kept = ChargingProfile.objects.get()
    assert (kept.charge_point, kept.connector_id, kept.charging_profile_id) == (row, 1, 101)
    assert (kept.purpose, kept.stack_level, kept.cleared_at) == ("TxDefaultProfile", 0, None)
    assert kept.profile["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 7400}]


@pytest.mark.parametrize("answer", ["Rejected", "NotSupported"])
async def test_keeps_no_other_profile(command: Any, answer: str) -> None:
    await install(command, answer)
    assert not ChargingProfile.objects.exists()


async def test_replaces_the_profile_of_the_same_id(command: Any) -> None:
    await install(command)
    await install(command, connector_id=2, stackLevel=3)
    active = ChargingProfile.objects.active().get()
    assert (active.connector_id, active.stack_level) == (2, 3)
    assert ChargingProfile.objects.count() == 2


async def test_replaces_the_profile_of_the_same_connector_purpose_and_level(command: Any) -> None:
    await install(command)
    await install(command, chargingProfileId=102)
    await install(command, chargingProfileId=103, stackLevel=1)
    await install(command, chargingProfileId=104, connector_id=2)
    assert installed() == [102, 103, 104]


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"id": 1}, [2, 3, 4]),
        ({"connector_id": 2}, [1, 2, 4]),
        ({"connector_id": 0}, [1, 2, 3]),
        ({"charging_profile_purpose": "ChargePointMaxProfile"}, [1, 2, 3]),
        ({"stack_level": 1}, [1, 3, 4]),
        ({"connector_id": 1, "stack_level": 0}, [2, 3, 4]),
        ({"id": 99}, [1, 2, 3, 4]),
        ({}, []),
    ],
)
async def test_clears_the_profiles_that_the_filter_names(command: Any, wanted: Any, left: list[int]) -> None:
    await install(command, chargingProfileId=1)
    await install(command, chargingProfileId=2, stackLevel=1)
    await install(command, chargingProfileId=3, connector_id=2)
    await install(command, chargingProfileId=4, connector_id=0, chargingProfilePurpose="ChargePointMaxProfile")
    await command("clear_charging_profile", "Accepted", **wanted)
    assert installed() == left


async def test_clears_nothing_that_the_charge_point_does_not_know(command: Any) -> None:
    await install(command)
    await command("clear_charging_profile", "Unknown", id=101)
    assert installed() == [101]


async def test_clears_nothing_of_another_charge_point(command: Any, make_charge_point: Any) -> None:
    ChargingProfile.objects.install(make_charge_point(), 1, PROFILE)
    await install(command)
    await command("clear_charging_profile", "Accepted")
    assert ChargingProfile.objects.active().count() == 1


@pytest.mark.parametrize(("purpose", "left"), [("TxProfile", []), ("TxDefaultProfile", [101])])
async def test_ends_the_profile_of_a_session_with_it(
    charge_point: Any, row: Any, purpose: str, left: list[int]
) -> None:
    number = await charge_point.start()
    ChargingProfile.objects.install(row, 1, PROFILE | {"chargingProfilePurpose": purpose})
    await charge_point.stop(number)
    assert installed() == left


async def test_leaves_the_profile_of_the_next_session_to_it(charge_point: Any, row: Any) -> None:
    first = await charge_point.start()
    await charge_point.start(at="2026-01-01T12:00:00Z")
    ChargingProfile.objects.install(row, 1, PROFILE | {"chargingProfilePurpose": "TxProfile"})
    await charge_point.stop(first)
    assert installed() == [101]
