from __future__ import annotations

import logging
from collections.abc import Coroutine, MutableMapping
from typing import TYPE_CHECKING, Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint as OcppChargePoint
from ocpp.v16 import call_result
from ocpp.v16.enums import (
    Action,
    AvailabilityStatus,
    CancelReservationStatus,
    ChargingProfileStatus,
    ClearCacheStatus,
    ClearChargingProfileStatus,
    ConfigurationStatus,
    DataTransferStatus,
    GetCompositeScheduleStatus,
    RemoteStartStopStatus,
    ReservationStatus,
    ResetStatus,
    TriggerMessageStatus,
    UnlockStatus,
    UpdateStatus,
)
from websockets.asyncio.client import ClientConnection

from . import errands, orders, terms
from .connector import Connector, reservation_of
from .makes import now, parse_time
from .transaction import Transaction

if TYPE_CHECKING:
    from .charge_point import ChargePoint

TRIGGERS = (
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
)
SECONDS_TO_ANSWER = 30


class Quiet(logging.LoggerAdapter[logging.Logger]):
    """All at DEBUG: the `ocpp` package logs each frame at INFO and each refusal with a traceback."""

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        super().log(logging.DEBUG, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


class Conversation(OcppChargePoint):
    """One connection's conversation: the answers to the nineteen commands of OCPP 1.6.

    Handlers answer at once; what a command sets going runs beside, after its answer has left.
    """

    def __init__(self, charge_point: ChargePoint, socket: ClientConnection) -> None:
        logger = Quiet(logging.getLogger(__name__), {})
        super().__init__(charge_point.identity, socket, SECONDS_TO_ANSWER, logger)
        self.charge_point = charge_point
        self._errands: list[Coroutine[Any, Any, None]] = []

    async def route_message(self, raw_msg: str) -> None:
        """Answer a command; what it causes is sent, and set going, once its answer has left."""
        with self.charge_point.outbox.held():
            await super().route_message(raw_msg)
        for errand in self._errands:
            self.charge_point.errand(errand)
        self._errands.clear()

    def _afterwards(self, errand: Coroutine[Any, Any, None]) -> None:
        self._errands.append(errand)

    @on(Action.remote_start_transaction)
    def on_remote_start(self, id_tag: str, **payload: Any) -> call_result.RemoteStartTransaction:
        connector = self._connector_for(id_tag, payload.get("connector_id"))
        profile = payload.get("charging_profile")
        if connector is None or not self.charge_point.accepted.is_set() or not is_for_a_transaction(profile):
            return call_result.RemoteStartTransaction(RemoteStartStopStatus.rejected)
        connector.claim = claim = object()
        self._afterwards(errands.remote_start(connector, claim, id_tag, profile))
        return call_result.RemoteStartTransaction(RemoteStartStopStatus.accepted)

    def _connector_for(self, id_tag: str, number: int | None) -> Connector | None:
        """The connector that a remote start means, if it can begin there; the first that can if it names none."""
        wanted = [item for item in self.charge_point.connectors if number in (None, item.number)]
        return next((connector for connector in wanted if connector.admits(id_tag)), None)

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int) -> call_result.RemoteStopTransaction:
        for connector in self.charge_point.connectors:
            if connector.transaction is not None and connector.transaction.id == transaction_id:
                connector.end("Remote")
                return call_result.RemoteStopTransaction(RemoteStartStopStatus.accepted)
        return call_result.RemoteStopTransaction(RemoteStartStopStatus.rejected)

    @on(Action.reset)
    def on_reset(self, **payload: Any) -> call_result.Reset:
        self._afterwards(errands.reset(self.charge_point, hard=payload["type"] == "Hard"))
        return call_result.Reset(ResetStatus.accepted)

    @on(Action.change_availability)
    def on_change_availability(self, connector_id: int, **payload: Any) -> call_result.ChangeAvailability:
        operative = payload["type"] == "Operative"
        return call_result.ChangeAvailability(self._change_availability(connector_id, operative))

    def _change_availability(self, number: int, operative: bool) -> Any:
        connectors = [item for item in self.charge_point.connectors if number in (0, item.number)]
        if not connectors:
            return AvailabilityStatus.rejected
        if number == 0:
            self.charge_point.change_availability(operative)
        statuses = {connector.change_availability(operative) for connector in connectors}
        return AvailabilityStatus.scheduled if "Scheduled" in statuses else AvailabilityStatus.accepted

    @on(Action.reserve_now)
    def on_reserve_now(self, connector_id: int, **payload: Any) -> call_result.ReserveNow:
        connector, reservation = self.charge_point.connector(connector_id), reservation_of(payload)
        if connector is None or reservation.expires_at <= now():
            return call_result.ReserveNow(ReservationStatus.rejected)
        return call_result.ReserveNow(ReservationStatus(connector.reserve(reservation)))

    @on(Action.cancel_reservation)
    def on_cancel_reservation(self, reservation_id: int) -> call_result.CancelReservation:
        for connector in self.charge_point.connectors:
            if connector.reservation is not None and connector.reservation.id == reservation_id:
                connector.cancel_reservation()
                return call_result.CancelReservation(CancelReservationStatus.accepted)
        return call_result.CancelReservation(CancelReservationStatus.rejected)

    @on(Action.set_charging_profile)
    def on_set_charging_profile(
        self, connector_id: int, cs_charging_profiles: dict[str, Any]
    ) -> call_result.SetChargingProfile:
        connector = self.charge_point.connector(connector_id)
        transaction = connector.transaction if connector else None
        known = connector is not None or connector_id == 0
        if not known or not self._may_install(connector_id, cs_charging_profiles, transaction):
            return call_result.SetChargingProfile(ChargingProfileStatus.rejected)
        self.charge_point.profiles.install(connector_id, cs_charging_profiles)
        return call_result.SetChargingProfile(ChargingProfileStatus.accepted)

    def _may_install(self, connector_id: int, profile: dict[str, Any], transaction: Transaction | None) -> bool:
        configuration, purpose = self.charge_point.configuration, profile["charging_profile_purpose"]
        too_many_periods = len(profile["charging_schedule"]["charging_schedule_period"]) > configuration.integer(
            "ChargingScheduleMaxPeriods"
        )
        if too_many_periods or profile["stack_level"] > configuration.integer("ChargeProfileMaxStackLevel"):
            return False
        if purpose == "TxProfile":
            return transaction is not None and profile.get("transaction_id") in (None, transaction.id)
        return purpose == "TxDefaultProfile" or connector_id == 0

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(self, **payload: Any) -> call_result.ClearChargingProfile:
        cleared = self.charge_point.profiles.clear(payload)
        status = ClearChargingProfileStatus.accepted if cleared else ClearChargingProfileStatus.unknown
        return call_result.ClearChargingProfile(status)

    @on(Action.get_composite_schedule)
    def on_get_composite_schedule(
        self, connector_id: int, duration: int, charging_rate_unit: str = "W"
    ) -> call_result.GetCompositeSchedule:
        connector = self.charge_point.connector(connector_id)
        if connector is None and connector_id != 0:
            return call_result.GetCompositeSchedule(GetCompositeScheduleStatus.rejected)
        transaction = connector.transaction if connector else None
        begin, schedule = self.charge_point.profiles.composite(
            connector_id, duration, charging_rate_unit, transaction.started_at if transaction else None
        )
        return call_result.GetCompositeSchedule(
            GetCompositeScheduleStatus.accepted, connector_id, self.charge_point.make.timestamp(begin), schedule
        )

    @on(Action.unlock_connector)
    def on_unlock_connector(self, connector_id: int) -> call_result.UnlockConnector:
        connector = self.charge_point.connector(connector_id)
        if connector is None or self.charge_point.make.cable_attached:
            return call_result.UnlockConnector(UnlockStatus.not_supported)
        connector.end("UnlockCommand")
        return call_result.UnlockConnector(UnlockStatus.unlocked)

    # Without the schema, so that a message that we do not know is NotImplemented and no FormatViolation.
    @on(Action.trigger_message, skip_schema_validation=True)
    def on_trigger_message(self, requested_message: str, connector_id: int | None = None) -> call_result.TriggerMessage:
        if requested_message not in TRIGGERS:
            return call_result.TriggerMessage(TriggerMessageStatus.not_implemented)
        if connector_id not in (None, 0) and self.charge_point.connector(connector_id) is None:
            return call_result.TriggerMessage(TriggerMessageStatus.rejected)
        self._afterwards(errands.trigger(self.charge_point, requested_message, connector_id))
        return call_result.TriggerMessage(TriggerMessageStatus.accepted)

    @on(Action.get_configuration)
    def on_get_configuration(self, **payload: Any) -> call_result.GetConfiguration:
        return call_result.GetConfiguration(*self.charge_point.configuration.read(payload.get("key")))

    @on(Action.change_configuration)
    def on_change_configuration(self, **payload: Any) -> call_result.ChangeConfiguration:
        status = self.charge_point.configuration.change(payload["key"], payload["value"])
        for connector in self.charge_point.connectors:
            connector.sample_soon()
        return call_result.ChangeConfiguration(ConfigurationStatus(status))

    @on(Action.clear_cache)
    def on_clear_cache(self) -> call_result.ClearCache:
        return call_result.ClearCache(ClearCacheStatus(self.charge_point.authorizations.clear_cache()))

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id: str, **payload: Any) -> call_result.DataTransfer:
        if vendor_id == terms.VENDOR_ID:
            return self._obey(payload.get("message_id") or "", payload.get("data") or "{}")
        if vendor_id != self.charge_point.make.vendor:
            return call_result.DataTransfer(DataTransferStatus.unknown_vendor_id)
        if payload.get("message_id") != "Echo":
            return call_result.DataTransfer(DataTransferStatus.unknown_message_id)
        return call_result.DataTransfer(DataTransferStatus.accepted, payload.get("data"))

    def _obey(self, order: str, data: str) -> call_result.DataTransfer:
        if order not in orders.ORDERS:
            return call_result.DataTransfer(DataTransferStatus.unknown_message_id)
        try:
            errand = orders.carry_out(self.charge_point, order, data)
        except orders.Refused as refusal:
            return call_result.DataTransfer(DataTransferStatus.rejected, str(refusal))
        if errand is not None:
            self._afterwards(errand)
        return call_result.DataTransfer(DataTransferStatus.accepted)

    @on(Action.get_diagnostics)
    def on_get_diagnostics(self, **payload: Any) -> call_result.GetDiagnostics:
        self._afterwards(errands.upload_diagnostics(self.charge_point))
        return call_result.GetDiagnostics(f"{self.charge_point.identity}-{now():%Y%m%dT%H%M%SZ}.log")

    @on(Action.update_firmware)
    def on_update_firmware(self, location: str, retrieve_date: str, **payload: Any) -> call_result.UpdateFirmware:
        self._afterwards(errands.update_firmware(self.charge_point, location, parse_time(retrieve_date)))
        return call_result.UpdateFirmware()

    @on(Action.get_local_list_version)
    def on_get_local_list_version(self) -> call_result.GetLocalListVersion:
        return call_result.GetLocalListVersion(self.charge_point.authorizations.version)

    @on(Action.send_local_list)
    def on_send_local_list(self, list_version: int, update_type: str, **payload: Any) -> call_result.SendLocalList:
        entries = payload.get("local_authorization_list", [])
        status = self.charge_point.authorizations.update_list(list_version, update_type, entries)
        return call_result.SendLocalList(UpdateStatus(status))


def is_for_a_transaction(profile: dict[str, Any] | None) -> bool:
    """Whether a remote start may carry this profile."""
    return profile is None or profile["charging_profile_purpose"] == "TxProfile"
