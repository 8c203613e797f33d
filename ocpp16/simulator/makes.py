"""Five makes of charge point, none of them real, each with habits that OCPP allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Make:
    """What is the same for all charge points of one make. Powers in W."""

    vendor: str
    model: str
    firmware: str
    power: int
    connectors: int = 1
    phases: int = 3
    direct_current: bool = False
    cable_attached: bool = False
    milliseconds: bool = False
    counts_messages: bool = False
    boots_at_each_connection: bool = False
    energy_in_kwh: bool = False
    leaves_out_defaults: bool = False
    sends_transaction_data: bool = True
    compresses: bool = False

    @property
    def voltage(self) -> float:
        """The nominal voltage that turns amperes of a charging profile into watts."""
        return 400.0 if self.direct_current else 230.0

    @property
    def smallest_power(self) -> float:
        """Below this an electric vehicle cannot charge: 6 A per phase on AC (IEC 61851)."""
        return 500.0 if self.direct_current else 6 * self.voltage

    def in_watts(self, limit: float, unit: str, phases: int | None) -> float:
        """A limit of a charging profile in W; amperes count per phase."""
        if unit == "W":
            return limit
        return limit * self.voltage * (1 if self.direct_current else phases or self.phases)

    def in_unit(self, watts: float, unit: str) -> float:
        """The reverse of `in_watts`, over all phases, with the one decimal that OCPP allows."""
        if unit == "W":
            return round(watts, 1)
        return round(watts / (self.voltage * (1 if self.direct_current else self.phases)), 1)

    def timestamp(self, moment: datetime) -> str:
        return moment.isoformat(timespec="milliseconds" if self.milliseconds else "seconds").replace("+00:00", "Z")


MAKES = (
    Make("Tarvik", "T11 Socket", "2.4.1", 11_000, counts_messages=True),
    Make("Brightmoor", "Duo 22", "5.0.3", 22_000, connectors=2, milliseconds=True, compresses=True),
    Make("Hollins", "Kerb 7", "1.12.0", 7_400, phases=1, cable_attached=True, energy_in_kwh=True),
    Make(
        "Quillon",
        "Rapid 60",
        "3.1.7",
        60_000,
        connectors=2,
        direct_current=True,
        cable_attached=True,
        boots_at_each_connection=True,
        sends_transaction_data=False,
    ),
    Make(
        "Veldmark",
        "HPC 150",
        "0.9.22",
        150_000,
        direct_current=True,
        cable_attached=True,
        milliseconds=True,
        leaves_out_defaults=True,
    ),
)


def now() -> datetime:
    return datetime.now(UTC)


def parse_time(text: str) -> datetime:
    """An ISO 8601 time; one without an offset is in UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
