from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from ocpp.v16 import call

from .makes import now, parse_time
from .metering import meter_value
from .transaction import NO_TRANSACTION, Transaction
from .vehicle import Vehicle

if TYPE_CHECKING:
    from .charge_point import ChargePoint

SECONDS_TO_LEAVE = 8.0


@dataclass(frozen=True)
class Reservation:
    id: int
    id_tag: str
    expires_at: datetime
    parent_id_tag: str | None = None

    def admits(self, id_tag: str, parent_id_tag: str | None) -> bool:
        """Whether this tag, or its group, holds the reservation."""
        if id_tag.lower() == self.id_tag.lower():
            return True
        return bool(self.parent_id_tag and parent_id_tag and self.parent_id_tag.lower() == parent_id_tag.lower())


class Connector:
    """One connector: its state machine, its meter, and the session on it."""

    def __init__(self, charge_point: ChargePoint, number: int) -> None:
        self.charge_point = charge_point
        self.make = charge_point.make
        self.number = number
        self.random = Random(f"{charge_point.identity}/{number}")
        self.status, self.error_code, self.info = "Available", "NoError", ""
        self.changed_at = now()
        self.operative = True
        self.scheduled_operative: bool | None = None
        self.fault: tuple[str, str] | None = None
        # Of a remote start that has not begun yet.
        self.claim: object | None = None
        self.reservation: Reservation | None = None
        self.transaction: Transaction | None = None
        self.vehicle: Vehicle | None = None
        self.energy = self.random.uniform(50_000, 9_000_000)
        self.power = 0.0
        self.voltages = [self.make.voltage] * 3
        self._next_sample = 0.0

    @property
    def register_wh(self) -> int:
        """The energy register in whole Wh; it never runs backwards."""
        return int(self.energy)

    @property
    def phases(self) -> int:
        return self.vehicle.phases if self.vehicle else self.make.phases

    @property
    def is_free(self) -> bool:
        return self.status == "Available" and self.claim is None

    def admits(self, id_tag: str) -> bool:
        """Whether a session with this tag could begin here now."""
        if self.claim or self.transaction or self.status not in ("Available", "Preparing", "Reserved"):
            return False
        parent = self.charge_point.authorizations.parent(id_tag)
        return self.reservation is None or self.reservation.admits(id_tag, parent)

    def show(self, status: str, error_code: str = "NoError", info: str = "") -> None:
        """Take on a status, and report it if it is news."""
        if (status, error_code, info) == (self.status, self.error_code, self.info):
            return
        self.status, self.error_code, self.info, self.changed_at = status, error_code, info, now()
        self.charge_point.notify(self)

    def settle(self) -> None:
        """Take on the status of a connector where nothing happens."""
        if self.fault:
            return self.show("Faulted", *self.fault)
        if self.transaction or (self.vehicle and self.operative):
            return None
        if not self.operative:
            return self.show("Unavailable")
        return self.show("Reserved" if self.reservation else "Available")

    def plug_in(self, vehicle: Vehicle) -> None:
        self.vehicle = vehicle
        self.show("Preparing")

    def unplug(self) -> None:
        """The vehicle leaves; a session that it was in ends."""
        self.end("EVDisconnected")
        self.vehicle = None
        self.settle()

    def begin(self, id_tag: str, profile: dict[str, Any] | None = None) -> Transaction:
        """Start a transaction: the vehicle is plugged in and the tag is authorized."""
        moment = now()
        start = call.StartTransaction(self.number, id_tag, self.register_wh, self.make.timestamp(moment))
        if self.reservation:
            start.reservation_id, self.reservation = self.reservation.id, None
        transaction = self.transaction = Transaction(start, moment)
        self.tell(transaction)
        if profile:
            self.charge_point.profiles.install(self.number, profile)
        self.show("Charging")
        self._keep_for_stop(transaction, "Transaction.Begin")
        self.send_meter_values("Transaction.Begin")
        self._next_sample = self.charge_point.time() + self._sample_interval
        return transaction

    def tell(self, transaction: Transaction) -> None:
        """Have the central system hear of a session, from what it does not know yet."""
        self.charge_point.untold.append(transaction)
        if transaction.id is None:
            self.charge_point.post(lambda: transaction.start, partial(self._started, transaction), kept=True)
        if transaction.stop is not None:
            self._tell_stop(transaction)

    def _started(self, transaction: Transaction, answer: Any) -> None:
        if answer is None:
            return
        transaction.id = answer.transaction_id
        self.charge_point.report(f"transaction {transaction.id} started on connector {self.number}")
        self.charge_point.authorizations.remember(transaction.id_tag, answer.id_tag_info)
        refused = answer.id_tag_info["status"] != "Accepted"
        if refused and self.charge_point.configuration.boolean("StopTransactionOnInvalidId"):
            self.end("DeAuthorized", only=transaction)

    def end(self, reason: str, id_tag: str | None = None, only: Transaction | None = None) -> bool:
        """Stop the transaction (`only` this one), if there is one; the vehicle leaves soon, unless it stays."""
        transaction = self.transaction
        if transaction is None or only not in (None, transaction):
            return False
        stop = self.stop_now(reason)
        self.send_meter_values("Transaction.End")
        self._keep_for_stop(transaction, "Transaction.End")
        self.transaction, self.power = None, 0.0
        self.charge_point.profiles.end_transaction(self.number)
        data = transaction.data if self.make.sends_transaction_data else None
        transaction.stop = replace(stop, id_tag=id_tag, transaction_data=data or None)
        self._tell_stop(transaction)
        transaction.ended.set()
        self._finish()
        return True

    def stop_now(self, reason: str) -> call.StopTransaction:
        """A StopTransaction of this moment, yet without an id."""
        moment = self.make.timestamp(now())
        return call.StopTransaction(self.register_wh, moment, NO_TRANSACTION, reason)  # type: ignore[arg-type]

    def _tell_stop(self, transaction: Transaction) -> None:
        self.charge_point.post(transaction.stop_with_id, partial(self._stopped, transaction), kept=True)

    def _stopped(self, transaction: Transaction, answer: Any) -> None:
        self.charge_point.untold.remove(transaction)
        self.charge_point.report(f"transaction {transaction.id} stopped: {transaction.stop_with_id().reason}")

    def _finish(self) -> None:
        if self.scheduled_operative is not None:
            self.operative, self.scheduled_operative = self.scheduled_operative, None
        if not self.fault:
            self.show("Finishing")
        self.charge_point.errand(self._leave(self.vehicle))

    async def _leave(self, vehicle: Vehicle | None) -> None:
        await self.charge_point.pause(SECONDS_TO_LEAVE)
        stays = vehicle is not None and vehicle.stays
        if self.vehicle is vehicle and self.transaction is None and not stays:
            self.unplug()

    def _keep_for_stop(self, transaction: Transaction, context: str) -> None:
        measurands = self.charge_point.configuration.words("StopTxnSampledData")
        if measurands:
            transaction.data.append(meter_value(self, now(), context, measurands))

    def change_availability(self, operative: bool) -> str:
        """Returns the status of ChangeAvailability: a running transaction makes it wait."""
        if self.transaction:
            self.scheduled_operative = operative if operative != self.operative else None
            return "Accepted" if operative == self.operative else "Scheduled"
        self.operative = operative
        if not operative:
            self.reservation = self.claim = None
        self.settle()
        return "Accepted"

    def reserve(self, reservation: Reservation) -> str:
        """Returns the status of ReserveNow."""
        if self.status in ("Faulted", "Unavailable"):
            return self.status
        if self.reservation is not None and self.reservation.id == reservation.id:
            self.reservation = reservation
            return "Accepted"
        if not self.is_free:
            return "Occupied"
        self.reservation = reservation
        self.settle()
        return "Accepted"

    def cancel_reservation(self) -> None:
        self.reservation = None
        if self.status == "Reserved":
            self.settle()

    def break_down(self, error_code: str, info: str) -> None:
        """Fault; a running transaction ends."""
        self.fault, self.claim = (error_code, info), None
        self.end("Other")
        self.settle()

    def repair(self) -> None:
        self.fault = None
        if self.vehicle is not None and self.transaction is None:
            self.vehicle = None
        self.settle()

    def switch_off(self) -> None:
        """What a reboot leaves: no vehicle in talks, no fault, no half-started session."""
        self.claim = self.fault = self.vehicle = None
        self.settle()

    def tick(self, seconds: float) -> None:
        """Let `seconds` pass."""
        if self.reservation and self.reservation.expires_at <= now():
            self.charge_point.report(f"reservation {self.reservation.id} expired")
            self.cancel_reservation()
        if self.transaction is None or self.vehicle is None:
            return
        self.energy += self.power * seconds / 3600
        self.vehicle.charge(self.power, seconds)
        self._regulate(self.transaction, self.vehicle)
        if self._sample_interval and self.charge_point.time() >= self._next_sample:
            self._next_sample = self.charge_point.time() + self._sample_interval
            self.send_meter_values("Sample.Periodic")

    @property
    def _sample_interval(self) -> int:
        return self.charge_point.configuration.integer("MeterValueSampleInterval")

    def sample_soon(self) -> None:
        """The sample interval has changed."""
        self._next_sample = min(self._next_sample, self.charge_point.time() + self._sample_interval)

    def _regulate(self, transaction: Transaction, vehicle: Vehicle) -> None:
        limit = self.charge_point.limit(self, transaction.started_at)
        demand = vehicle.noisy_demand()
        suspended = limit < self.make.smallest_power
        self.power = 0.0 if suspended else min(limit, demand)
        nominal = 330 + vehicle.state_of_charge if self.make.direct_current else self.make.voltage
        self.voltages = [nominal * self.random.uniform(0.99, 1.01) for _ in range(3)]
        self.show("SuspendedEVSE" if suspended else "Charging" if demand else "SuspendedEV")

    def send_meter_values(self, context: str) -> None:
        """Send what the meter shows, as part of the transaction if there is one."""
        measurands = self.charge_point.configuration.words("MeterValuesSampledData")
        if context == "Sample.Clock":
            measurands = self.charge_point.configuration.words("MeterValuesAlignedData")
        transaction = self.transaction
        if not measurands or (transaction and context == "Sample.Periodic" and self.charge_point.is_memory_full):
            return
        values = [meter_value(self, now(), context, measurands)]
        self.charge_point.post(
            lambda: call.MeterValues(self.number, values, transaction.id if transaction else None),
            kept=transaction is not None,
        )


def reservation_of(fields: dict[str, Any]) -> Reservation:
    """The reservation that the fields of ReserveNow ask for."""
    return Reservation(
        fields["reservation_id"],
        fields["id_tag"],
        parse_time(fields["expiry_date"]),
        fields.get("parent_id_tag"),
    )
