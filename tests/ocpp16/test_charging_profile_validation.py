from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.api import Api, error_of, make_api, make_charge_point
from tests.ocpp16.reference import IDENTITY, PROFILE

pytestmark = pytest.mark.django_db

SCHEDULE = "charging_profile.chargingSchedule"
PERIODS = f"{SCHEDULE}.chargingSchedulePeriod"


@pytest.fixture
def api() -> Api:
    api = make_api()
    make_charge_point(api.organization, IDENTITY)
    return api


def profile(**changes: Any) -> dict[str, Any]:
    """The reference's profile with changes, of which `schedule_…` ones go to the schedule; ... takes a member out."""
    made = deepcopy(PROFILE)
    for name, value in changes.items():
        of_schedule = name.startswith("schedule_")
        place: Any = made["chargingSchedule"] if of_schedule else made
        place[name.removeprefix("schedule_")] = value
        if value is ...:
            del place[name.removeprefix("schedule_")]
    return made


def periods(*starts_and_limits: tuple[Any, Any]) -> dict[str, Any]:
    listed = [{"startPeriod": start, "limit": limit} for start, limit in starts_and_limits]
    return profile(schedule_chargingSchedulePeriod=listed)


def limit(value: Any) -> dict[str, Any]:
    return periods((0, value))


def set_profile(api: Api, given: Any, connector_id: int = 1) -> Any:
    body = {"charge_point_id": IDENTITY, "connector_id": connector_id, "charging_profile": given}
    return api.post("set_charging_profile", body)


def remote_start(api: Api, given: Any) -> Any:
    return api.post(
        "remote_start_transaction", {"charge_point_id": IDENTITY, "id_tag": "TAG", "charging_profile": given}
    )


def assert_refused(response: Any, *paths: str) -> None:
    assert set(error_of(response, 400, "validation_error")["details"]) == set(paths)


def assert_taken(response: Any) -> None:
    # The charge point is not connected: the profile was right, so that is what stops it.
    error_of(response, 422, "charge_point_offline")


@pytest.mark.parametrize("missing", PROFILE)
def test_refuses_a_profile_without_a_required_member(api: Api, missing: str) -> None:
    assert_refused(set_profile(api, profile(**{missing: ...})), f"charging_profile.{missing}")


@pytest.mark.parametrize("missing", ["chargingRateUnit", "chargingSchedulePeriod"])
def test_refuses_a_schedule_without_a_required_member(api: Api, missing: str) -> None:
    assert_refused(set_profile(api, profile(**{f"schedule_{missing}": ...})), f"{SCHEDULE}.{missing}")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (profile(chargingProfileId="101"), "charging_profile.chargingProfileId"),
        (profile(chargingProfileId=True), "charging_profile.chargingProfileId"),
        (profile(chargingProfileId=1.0), "charging_profile.chargingProfileId"),
        (profile(chargingProfileId=None), "charging_profile.chargingProfileId"),
        (profile(stackLevel=-1), "charging_profile.stackLevel"),
        (profile(chargingProfilePurpose="txprofile"), "charging_profile.chargingProfilePurpose"),
        (profile(chargingProfileKind="Sometimes"), "charging_profile.chargingProfileKind"),
        (profile(validFrom="yesterday"), "charging_profile.validFrom"),
        (profile(validFrom="2030-01-01T00:00:00"), "charging_profile.validFrom"),
        (profile(colour="red"), "charging_profile.colour"),
        (profile(charging_profile_id=1), "charging_profile.charging_profile_id"),
        (profile(chargingSchedule=[]), SCHEDULE),
        (profile(schedule_duration=-1), f"{SCHEDULE}.duration"),
        (profile(schedule_startSchedule=0), f"{SCHEDULE}.startSchedule"),
        (profile(schedule_chargingRateUnit="kW"), f"{SCHEDULE}.chargingRateUnit"),
        (profile(schedule_minChargingRate=-0.1), f"{SCHEDULE}.minChargingRate"),
        (profile(schedule_minChargingRate=0.01), f"{SCHEDULE}.minChargingRate"),
        (profile(schedule_surprise=1), f"{SCHEDULE}.surprise"),
        (profile(schedule_chargingSchedulePeriod=[]), PERIODS),
        (profile(schedule_chargingSchedulePeriod={}), PERIODS),
        (profile(schedule_chargingSchedulePeriod=[1]), f"{PERIODS}[0]"),
        (periods((0, 1), ("60", 1)), f"{PERIODS}[1].startPeriod"),
        (profile(schedule_chargingSchedulePeriod=[{"startPeriod": 0, "limit": 1, "x": 1}]), f"{PERIODS}[0].x"),
        ("profile", "charging_profile"),
        ([], "charging_profile"),
    ],
    ids=str,
)
def test_refuses_what_the_schema_refuses(api: Api, given: Any, path: str) -> None:
    assert_refused(set_profile(api, given), path)


@pytest.mark.parametrize("value", [0, 0.1, 8.1, 16.3, 7400, 7400.1, 1e3, 0.30, 99999999.9])
def test_takes_a_limit_with_one_decimal(api: Api, value: Any) -> None:
    assert_taken(set_profile(api, limit(value)))


@pytest.mark.parametrize("value", [8.11, 0.05, 1e-7, -1, -0.1, True, "16", None, [16], 2**31])
def test_refuses_any_other_limit(api: Api, value: Any) -> None:
    assert_refused(set_profile(api, limit(value)), f"{PERIODS}[0].limit")


@pytest.mark.parametrize("phases", [0, 4, 1.5, "3", True])
def test_refuses_a_number_of_phases_that_does_not_exist(api: Api, phases: Any) -> None:
    period = {"startPeriod": 0, "limit": 16, "numberPhases": phases}
    given = profile(schedule_chargingSchedulePeriod=[period])
    assert_refused(set_profile(api, given), f"{PERIODS}[0].numberPhases")


@pytest.mark.parametrize("phases", [1, 2, 3])
def test_takes_one_to_three_phases(api: Api, phases: int) -> None:
    period = {"startPeriod": 0, "limit": 16, "numberPhases": phases}
    assert_taken(set_profile(api, profile(schedule_chargingSchedulePeriod=[period])))


@pytest.mark.parametrize(
    ("starts", "index"), [([60], 0), ([1, 2], 0), ([0, 0], 1), ([0, 60, 60], 2), ([0, 60, 30], 2), ([0, -1], 1)]
)
def test_refuses_periods_that_do_not_ascend_from_0(api: Api, starts: list[int], index: int) -> None:
    given = periods(*((start, 16) for start in starts))
    assert_refused(set_profile(api, given), f"{PERIODS}[{index}].startPeriod")


START = {"schedule_startSchedule": "2030-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (profile(chargingProfileKind="Relative", **START), [f"{SCHEDULE}.startSchedule"]),
        (profile(chargingProfileKind="Recurring", **START), ["charging_profile.recurrencyKind"]),
        (profile(chargingProfileKind="Recurring", recurrencyKind="Daily"), [f"{SCHEDULE}.startSchedule"]),
        (
            profile(chargingProfileKind="Recurring", recurrencyKind="Monthly", **START),
            ["charging_profile.recurrencyKind"],
        ),
        (
            profile(chargingProfileKind="Recurring"),
            ["charging_profile.recurrencyKind", f"{SCHEDULE}.startSchedule"],
        ),
        (profile(validFrom="2030-01-01T00:00:00Z", validTo="2030-01-01T00:00:00Z"), ["charging_profile.validTo"]),
        (profile(validFrom="2030-01-01T00:00:00Z", validTo="2030-01-01T01:00:00+02:00"), ["charging_profile.validTo"]),
        (profile(transactionId=7), ["charging_profile.transactionId"]),
        (profile(chargingProfilePurpose="ChargePointMaxProfile"), ["charging_profile.chargingProfilePurpose"]),
    ],
    ids=str,
)
def test_refuses_what_contradicts_itself(api: Api, given: Any, paths: list[str]) -> None:
    assert_refused(set_profile(api, given), *paths)


@pytest.mark.parametrize(
    "given",
    [
        profile(),
        profile(chargingProfileKind="Relative"),
        profile(chargingProfileKind="Absolute", **START),
        profile(chargingProfileKind="Recurring", recurrencyKind="Weekly", **START),
        profile(validFrom="2030-01-01T00:00:00Z", validTo="2030-01-01T03:00:00+02:00"),
        profile(chargingProfilePurpose="TxProfile"),
        profile(chargingProfilePurpose="TxProfile", transactionId=7),
        profile(schedule_duration=0, schedule_minChargingRate=6.1),
    ],
    ids=str,
)
def test_takes_what_the_specification_allows(api: Api, given: Any) -> None:
    assert_taken(set_profile(api, given))


def test_keeps_a_maximum_to_the_whole_charge_point(api: Api) -> None:
    assert_taken(set_profile(api, profile(chargingProfilePurpose="ChargePointMaxProfile"), connector_id=0))
    assert_taken(set_profile(api, profile(), connector_id=0))


def test_keeps_a_profile_of_a_session_to_a_connector(api: Api) -> None:
    given = profile(chargingProfilePurpose="TxProfile")
    assert_refused(set_profile(api, given, connector_id=0), "charging_profile.chargingProfilePurpose")


def test_starts_with_a_profile_of_the_session_only(api: Api) -> None:
    assert_taken(remote_start(api, profile(chargingProfilePurpose="TxProfile")))
    for purpose in ("TxDefaultProfile", "ChargePointMaxProfile"):
        given = profile(chargingProfilePurpose=purpose)
        assert_refused(remote_start(api, given), "charging_profile.chargingProfilePurpose")


def test_starts_with_a_profile_that_names_no_transaction(api: Api) -> None:
    given = profile(chargingProfilePurpose="TxProfile", transactionId=7)
    assert_refused(remote_start(api, given), "charging_profile.transactionId")


def test_checks_the_members_of_a_profile_for_a_start_as_well(api: Api) -> None:
    given = profile(chargingProfilePurpose="TxProfile", stackLevel=-1)
    assert_refused(remote_start(api, given), "charging_profile.stackLevel")
