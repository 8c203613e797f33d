"""OCPP 1.6's ChargingProfile: its schema, and the rules that no schema can say (sections 3.13 and 7.8 to 7.14)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from rest_framework import serializers
from rest_framework.serializers import ValidationError

from apikeys.fields import Choice, Integer, Moment, StrictSerializer

from .fields import Rate, camel_case

PURPOSES = ("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile")
# A week in minutes is about this many; to judge hundreds of thousands would hold a server for half a minute.
MAXIMUM_PERIODS = 10_080


class OcppSerializer(StrictSerializer):
    """An object of OCPP 1.6, whose members are spelled as there."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {camel_case(name): field for name, field in super().get_fields().items()}


class ChargingSchedulePeriodSerializer(OcppSerializer):
    start_period = Integer(min_value=0)
    limit = Rate()
    number_phases = Integer(min_value=1, max_value=3, required=False)


class ChargingScheduleSerializer(OcppSerializer):
    duration = Integer(min_value=0, required=False)
    start_schedule = Moment(required=False)
    charging_rate_unit = Choice(["A", "W"])
    charging_schedule_period = ChargingSchedulePeriodSerializer(  # type: ignore[call-arg]  # the stubs miss max_length
        many=True,
        allow_empty=False,
        max_length=MAXIMUM_PERIODS,
        error_messages={"max_length": "Must have at most {max_length} items."},
    )
    min_charging_rate = Rate(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        starts = [period["startPeriod"] for period in attrs["chargingSchedulePeriod"]]
        if starts[0] != 0:
            raise refusal("chargingSchedulePeriod[0].startPeriod", "The first period must start at 0.")
        for index, (before, after) in enumerate(pairwise(starts), start=1):
            if after <= before:
                raise refusal(
                    f"chargingSchedulePeriod[{index}].startPeriod", "Must be later than the period before it."
                )
        return attrs


class ChargingProfileSerializer(OcppSerializer):
    charging_profile_id = Integer()
    transaction_id = Integer(required=False)
    stack_level = Integer(min_value=0)
    charging_profile_purpose = Choice(PURPOSES)
    charging_profile_kind = Choice(["Absolute", "Recurring", "Relative"])
    recurrency_kind = Choice(["Daily", "Weekly"], required=False)
    valid_from = Moment(required=False)
    valid_to = Moment(required=False)
    charging_schedule = ChargingScheduleSerializer()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        problems = {**kind_problems(attrs), **validity_problems(attrs)}
        if "transactionId" in attrs and attrs["chargingProfilePurpose"] != "TxProfile":
            problems["transactionId"] = ["Only a TxProfile can name a transaction."]
        if problems:
            raise ValidationError(problems)
        return attrs


def kind_problems(profile: dict[str, Any]) -> dict[str, list[str]]:
    kind = profile["chargingProfileKind"]
    starts = "startSchedule" in profile["chargingSchedule"]
    if kind == "Relative" and starts:
        return {"chargingSchedule.startSchedule": ["A Relative profile starts with its transaction."]}
    if kind != "Recurring":
        return {}
    problems = {} if starts else {"chargingSchedule.startSchedule": ["A Recurring profile needs its start."]}
    if "recurrencyKind" not in profile:
        problems["recurrencyKind"] = ["A Recurring profile needs it: Daily or Weekly."]
    return problems


def validity_problems(profile: dict[str, Any]) -> dict[str, list[str]]:
    if "validFrom" in profile and "validTo" in profile and profile["validFrom"] >= profile["validTo"]:
        return {"validTo": ["Must be later than validFrom."]}
    return {}


def check_for_start(profile: dict[str, Any]) -> dict[str, Any]:
    """Refuse what a RemoteStartTransaction cannot carry (OCPP 1.6 section 5.11)."""
    if profile["chargingProfilePurpose"] != "TxProfile":
        raise refusal("chargingProfilePurpose", "A profile for one session must be a TxProfile.")
    if "transactionId" in profile:
        raise refusal("transactionId", "The transaction has not begun, so it has no id.")
    return profile


def check_for_connector(profile: dict[str, Any], connector_id: int) -> None:
    """Refuse a purpose that the connector cannot have (OCPP 1.6 section 3.13.1)."""
    purpose = profile["chargingProfilePurpose"]
    if purpose == "ChargePointMaxProfile" and connector_id != 0:
        raise refusal("charging_profile.chargingProfilePurpose", "ChargePointMaxProfile is for connector 0 only.")
    if purpose == "TxProfile" and connector_id == 0:
        raise refusal("charging_profile.chargingProfilePurpose", "TxProfile is not for connector 0.")


def refusal(path: str, problem: str) -> ValidationError:
    return ValidationError({path: [problem]})
