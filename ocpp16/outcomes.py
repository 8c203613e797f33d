"""What becomes of our CALLs: their answers stored, and the effects of accepted ones kept."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, transaction
from django.utils.dateparse import parse_datetime

from chargepoints.models import ChargingProfile, ConfigurationKey, Reservation

from .frames import CallError, CallResult
from .masking import hidden
from .models import Command
from .payloads import SECRET_ACTIONS, fits_response, masked

logger = logging.getLogger(__name__)

# What a charge point answers that has done, or will do, what it was told; some actions have no word for it.
DONE = ("", "Accepted", "RebootRequired", "Scheduled")


def end(command_id: uuid.UUID, state: str) -> None:
    """Move a command to its end, unless another was first; what is kept until its charge point returns is not lost."""
    command = Command.objects.filter(pk=command_id).first()
    if command is not None and not (state == Command.State.LOST and command.is_kept):
        command.end(state)


def complete(
    charge_point_id: int, command_id: uuid.UUID, frame: CallResult | CallError, milliseconds: int | None
) -> Command | None:
    """Store the answer, with its effect; None where the charge point has no command of this id.

    Without `milliseconds` the answer is to no CALL in flight, so only one that timed out can be meant.
    """
    command = Command.objects.filter(pk=command_id, charge_point_id=charge_point_id).first()
    if command is None:
        return None
    with command.atomic(has_effect=command.action in EFFECTS):
        store = command.complete_late if milliseconds is None else command.complete
        if store(response_time_ms=milliseconds, **read(command.action, frame)):
            keep_effect(command)
            if command.status not in ("Accepted", "RebootRequired"):
                command.withdraw_secret()
    return command


@dataclass(eq=False)
class Answer:
    """What a charge point said to the command that was in flight to it."""

    command: Command
    frame: CallResult | CallError
    milliseconds: int
    is_stored: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether there is no more to it than the command's row."""
        return self.command.action not in EFFECTS and self.command.action not in SECRET_ACTIONS


def complete_all(answers: list[Answer]) -> None:
    """Store plain answers; one that is not stored then, as its command had ended, must be stored alone."""
    ends = [
        (each.command, {**read(each.command.action, each.frame), "response_time_ms": each.milliseconds})
        for each in answers
    ]
    ended = Command.objects.end_all(ends)
    for each in answers:
        each.is_stored = each.command.pk in ended


def read(action: str, frame: CallResult | CallError) -> dict[str, Any]:
    """The fields of a Command that an answer fills."""
    if isinstance(frame, CallError):
        return {
            "state": Command.State.CALL_ERROR,
            "error_code": frame.code[:50],
            "error_description": hidden(frame.description),
            "error_details": hidden(frame.details),
        }
    response = hidden(frame.payload)
    if not fits_response(action, frame.payload):
        description = "The answer does not fit the schema of OCPP 1.6."
        return {"state": Command.State.REJECTED, "response": response, "error_description": description}
    rejected = frame.payload.get("status") == "Rejected"
    return {"state": Command.State.REJECTED if rejected else Command.State.ACCEPTED, "response": response}


def asks_for(command: Command) -> set[str]:
    """The actions that a charge point may send in any registration state because of this command."""
    if command.action not in ("TriggerMessage", "ExtendedTriggerMessage"):
        return set()
    requested = command.payload.get("requestedMessage", "")
    return {"SignCertificate" if requested == "SignChargePointCertificate" else requested}


def keep_effect(command: Command) -> None:
    """Keep what an accepted command changed; a failure here must not lose the answer."""
    effect = EFFECTS.get(command.action)
    if effect is None or command.state != Command.State.ACCEPTED or command.status not in DONE:
        return
    try:
        with transaction.atomic():
            effect(command)
    except (DatabaseError, KeyError, OverflowError, TypeError, ValueError):
        logger.exception("The effect of %s could not be kept", command)


def reserve(command: Command) -> None:
    charge_point, payload = command.charge_point, command.payload
    # JSON Schema's date-time may be in lower case, Django's may not.
    expires_at = parse_datetime(payload["expiryDate"].upper())
    if expires_at is None:
        raise ValueError(payload["expiryDate"])
    Reservation.objects.reserve(
        charge_point,
        payload["reservationId"],
        connector_id=payload["connectorId"],
        id_tag=payload["idTag"],
        parent_id_tag=payload.get("parentIdTag", ""),
        expires_at=expires_at,
    )


def cancel_reservation(command: Command) -> None:
    charge_point, payload = command.charge_point, command.payload
    Reservation.objects.end(charge_point, payload["reservationId"], Reservation.State.CANCELLED)


def change_availability(command: Command) -> None:
    charge_point, payload = command.charge_point, command.payload
    charge_point.change_availability(payload["connectorId"], payload["type"], scheduled=command.status == "Scheduled")


def set_charging_profile(command: Command) -> None:
    charge_point, payload = command.charge_point, command.payload
    ChargingProfile.objects.install(charge_point, payload["connectorId"], payload["csChargingProfiles"])


def clear_charging_profile(command: Command) -> None:
    charge_point, payload = command.charge_point, command.payload
    fields = {
        "id": "charging_profile_id",
        "connectorId": "connector_id",
        "chargingProfilePurpose": "purpose",
        "stackLevel": "stack_level",
    }
    wanted = {fields[name]: value for name, value in payload.items() if name in fields}
    ChargingProfile.objects.filter(charge_point=charge_point, **wanted).clear()


def change_configuration(command: Command) -> None:
    payload, needs_reboot = masked(command.action, command.payload), command.status == "RebootRequired"
    ConfigurationKey.objects.change(command.charge_point, payload["key"], payload["value"], after_reboot=needs_reboot)


def get_configuration(command: Command) -> None:
    told: dict[str, Any] = command.response or {}
    known, unknown = told.get("configurationKey", []), told.get("unknownKey", [])
    ConfigurationKey.objects.record(command.charge_point, known, unknown)


EFFECTS: dict[str, Callable[[Command], None]] = {
    "CancelReservation": cancel_reservation,
    "ChangeAvailability": change_availability,
    "ChangeConfiguration": change_configuration,
    "ClearChargingProfile": clear_charging_profile,
    "GetConfiguration": get_configuration,
    "ReserveNow": reserve,
    "SetChargingProfile": set_charging_profile,
}
