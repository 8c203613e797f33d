"""A CALL from a charge point as its handler sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from chargepoints.fingerprints import start_mark
from chargepoints.models import ChargePoint
from chargepoints.models.charge_point import RegistrationStatus

from . import times
from .batch import Batch
from .payloads import InvalidPayload

MAXIMUM_INTEGER = 2**31 - 1
MAXIMUM_METER = 2**63 - 1


class Presumed(NamedTuple):
    """A charge point that is taken to be accepted, until what it sends is stored."""

    pk: int
    asked_at: datetime
    registration_status: str = RegistrationStatus.ACCEPTED


@dataclass(eq=False)
class Received:
    """A CALL whose payload has been read, and from whom."""

    charge_point: ChargePoint
    action: str
    payload: dict[str, Any]
    findings: dict[str, str]
    received_at: datetime
    batch: Batch

    @property
    def is_presuming(self) -> bool:
        """Whether it is still to be found out that the charge point is accepted, where this is stored."""
        return isinstance(self.charge_point, Presumed)

    @cached_property
    def timestamp(self) -> datetime:
        """When it happened, by the charge point's clock."""
        return self.time(self.payload)

    def time(self, holder: dict[str, Any]) -> datetime:
        """The moment in the payload or a part of it, repaired where it is none, which is a finding."""
        text = holder.get("timestamp")
        if text is None:
            return self.received_at
        moment, repaired = times.read(text, self.received_at)
        if repaired:
            self.findings[f"{self.action}.timestamp"] = repaired
        return moment

    def impossible_time(self) -> str | None:
        """The timestamp's own text where that is no possible time."""
        return str(self.payload["timestamp"]) if self.timestamp == self.received_at else None

    def start_mark(self) -> UUID:
        """What repeats of this StartTransaction are known by."""
        moment = self.impossible_time() or self.timestamp
        return start_mark(self.payload["connectorId"], self.text("idTag"), moment, self.payload["meterStart"])

    def integer(self, name: str, minimum: int = 0, maximum: int = MAXIMUM_INTEGER) -> int:
        """The integer in a field, within the bounds."""
        value: int = self.payload[name]
        if not minimum <= value <= maximum:
            raise InvalidPayload("PropertyConstraintViolation", f"{name} must be {minimum} to {maximum}.")
        return value

    def text(self, name: str, length: int = 255) -> str:
        """The text in a field, '' where there is none."""
        return str(self.payload.get(name, ""))[:length]
