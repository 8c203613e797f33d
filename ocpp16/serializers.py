"""One serializer per command: what the caller may say, and the OCPP payload that it becomes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rest_framework.serializers import ValidationError

from apikeys.clock import now
from apikeys.fields import Choice, Integer, JSONObject, Moment, StrictSerializer, Text
from chargepoints.fields import IdTagText

from . import payloads, times
from .charging_profiles import PURPOSES, ChargingProfileSerializer, check_for_connector, check_for_start
from .fields import camel_case

PER_CONNECTOR_MESSAGES = ("MeterValues", "StatusNotification")


class CommandSerializer(StrictSerializer):
    """The body of a command. All but `charge_point_id` becomes the OCPP payload, in OCPP's spelling."""

    ocpp_names: dict[str, str] = {}

    charge_point_id = Text(help_text="The identity under which the charge point connects.")

    def ocpp_payload(self) -> dict[str, Any]:
        """The OCPP payload: what was given, with times in UTC."""
        given = {name: value for name, value in self.validated_data.items() if name != "charge_point_id"}
        return {self.ocpp_names.get(name, camel_case(name)): on_the_wire(value) for name, value in given.items()}

    def echoes(self) -> dict[str, Any]:
        """What the success body may repeat of the request, by the names it has there."""
        return dict(self.validated_data)


def on_the_wire(value: Any) -> Any:
    if isinstance(value, datetime):
        return times.write(value)
    if isinstance(value, dict):
        return {name: on_the_wire(inner) for name, inner in value.items()}
    return [on_the_wire(inner) for inner in value] if isinstance(value, list) else value


class SendCommandSerializer(CommandSerializer):
    command = Text(help_text="Action of OCPP 1.6 or its security extension.")
    payload = JSONObject(help_text="Payload of that action.")

    def validate_command(self, command: str) -> str:
        if command not in payloads.COMMAND_ACTIONS:
            raise ValidationError(f"Must be one of: {', '.join(payloads.COMMAND_ACTIONS)}.")
        return command

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        try:
            payloads.validate_command(attrs["command"], attrs["payload"])
        except payloads.InvalidPayload as error:
            raise ValidationError(within("payload", error)) from None
        return attrs

    def ocpp_payload(self) -> dict[str, Any]:
        return self.validated_data["payload"]


def within(field: str, error: payloads.InvalidPayload) -> dict[str, list[str]]:
    """The details of an invalid payload, keyed by their paths in the request's body."""
    details = error.details or {"": [error.description]}
    return {f"{field}.{path}".rstrip("."): problems for path, problems in details.items()}


class RemoteStartTransactionSerializer(CommandSerializer):
    id_tag = IdTagText(help_text="The token that the session is for.")
    connector_id = Integer(min_value=1, required=False, help_text="If omitted, the charge point chooses.")
    charging_profile = ChargingProfileSerializer(required=False, help_text="A TxProfile for the session.")

    def validate_charging_profile(self, profile: dict[str, Any]) -> dict[str, Any]:
        return check_for_start(profile)


class RemoteStopTransactionSerializer(CommandSerializer):
    transaction_id = Integer(help_text="As `active_transactions` tells it.")


class ChangeAvailabilitySerializer(CommandSerializer):
    connector_id = Integer(min_value=0, help_text="0 is the whole charge point.")
    type = Choice(["Operative", "Inoperative"])


class SetChargingProfileSerializer(CommandSerializer):
    ocpp_names = {"charging_profile": "csChargingProfiles"}

    connector_id = Integer(min_value=0, help_text="0 is the whole charge point.")
    charging_profile = ChargingProfileSerializer()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_for_connector(attrs["charging_profile"], attrs["connector_id"])
        return attrs

    def echoes(self) -> dict[str, Any]:
        profile = self.validated_data["charging_profile"]
        return {**super().echoes(), "charging_profile_id": profile["chargingProfileId"]}


class ClearChargingProfileSerializer(CommandSerializer):
    id = Integer(required=False, help_text="The chargingProfileId; if omitted, all that the other fields match.")
    connector_id = Integer(min_value=0, required=False)
    charging_profile_purpose = Choice(PURPOSES, required=False)
    stack_level = Integer(min_value=0, required=False)


class ResetSerializer(CommandSerializer):
    type = Choice(["Soft", "Hard"], help_text="Soft lets sessions end first.")


class TriggerMessageSerializer(CommandSerializer):
    requested_message = Choice(
        [
            "BootNotification",
            "DiagnosticsStatusNotification",
            "FirmwareStatusNotification",
            "Heartbeat",
            "MeterValues",
            "StatusNotification",
        ]
    )
    connector_id = Integer(
        min_value=0, required=False, help_text=f"Required for {' and '.join(PER_CONNECTOR_MESSAGES)}."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        message = attrs["requested_message"]
        if message in PER_CONNECTOR_MESSAGES and "connector_id" not in attrs:
            raise ValidationError({"connector_id": [f"This field is required for {message}."]})
        return attrs


class ReserveNowSerializer(CommandSerializer):
    connector_id = Integer(min_value=1)
    expiry_date = Moment(help_text="In the future; ISO 8601 with an offset.")
    id_tag = IdTagText()
    reservation_id = Integer(help_text="Chosen by you; it cancels the reservation later.")
    parent_id_tag = IdTagText(required=False)

    def validate_expiry_date(self, expiry_date: datetime) -> datetime:
        if expiry_date <= now():
            raise ValidationError("Must be in the future.")
        return expiry_date

    def echoes(self) -> dict[str, Any]:
        return {**super().echoes(), "expires_at": self.validated_data["expiry_date"]}


class CancelReservationSerializer(CommandSerializer):
    reservation_id = Integer()
