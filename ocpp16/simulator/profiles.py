"""Smart charging (OCPP 1.6 section 3.13): which power the installed profiles allow, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .makes import Make, now, parse_time

RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}
LONGEST_SCHEDULE = 7 * 24 * 3600


@dataclass(frozen=True)
class Profile:
    """An installed ChargingProfile; `content` is OCPP's object with its names in snake case."""

    connector_id: int
    content: dict[str, Any]
    received_at: datetime

    @property
    def purpose(self) -> str:
        return self.content["charging_profile_purpose"]

    @property
    def stack_level(self) -> int:
        return self.content["stack_level"]

    @property
    def schedule(self) -> dict[str, Any]:
        return self.content["charging_schedule"]

    @property
    def place(self) -> tuple[int, str, int]:
        return self.connector_id, self.purpose, self.stack_level

    def is_valid(self, moment: datetime) -> bool:
        begin, end = self.content.get("valid_from"), self.content.get("valid_to")
        return (not begin or parse_time(begin) <= moment) and (not end or moment < parse_time(end))

    def start(self, moment: datetime, transaction_start: datetime | None) -> datetime:
        """When the schedule that is on at `moment` began."""
        if self.content["charging_profile_kind"] == "Relative":
            return transaction_start or moment
        given = self.schedule.get("start_schedule")
        start = parse_time(given) if given else transaction_start or self.received_at
        if self.content["charging_profile_kind"] == "Recurring" and start < moment:
            every = RECURRENCE[self.content.get("recurrency_kind", "Daily")]
            start += ((moment - start) // every) * every
        return start

    def period(self, moment: datetime, transaction_start: datetime | None) -> dict[str, Any] | None:
        """The schedule period that is on at `moment`, or None: this profile says nothing then."""
        offset = (moment - self.start(moment, transaction_start)).total_seconds()
        duration = self.schedule.get("duration")
        if offset < 0 or (duration is not None and offset >= duration) or not self.is_valid(moment):
            return None
        begun = [period for period in self.schedule["charging_schedule_period"] if period["start_period"] <= offset]
        return begun[-1] if begun else None

    def limit(self, make: Make, moment: datetime, transaction_start: datetime | None) -> float | None:
        """The limit at `moment` in W, or None."""
        period = self.period(moment, transaction_start)
        if period is None:
            return None
        limit, unit = float(period["limit"]), self.schedule["charging_rate_unit"]
        return make.in_watts(limit, unit, period.get("number_phases"))

    def changes(self, begin: datetime, end: datetime, transaction_start: datetime | None) -> set[datetime]:
        """The moments between `begin` and `end` at which the limit may change."""
        offsets = [period["start_period"] for period in self.schedule["charging_schedule_period"]]
        offsets.append(self.schedule.get("duration") or 0)
        starts, moment = {self.start(begin, transaction_start)}, begin
        while self.content["charging_profile_kind"] == "Recurring" and moment < end:
            moment += timedelta(days=1)
            starts.add(self.start(moment, transaction_start))
        moments = {start + timedelta(seconds=offset) for start in starts for offset in offsets}
        moments |= {parse_time(self.content[name]) for name in ("valid_from", "valid_to") if self.content.get(name)}
        return {moment for moment in moments if begin < moment < end}


class Profiles:
    """The profiles that are installed on one charge point."""

    def __init__(self, make: Make) -> None:
        self.make = make
        self._profiles: list[Profile] = []

    def __len__(self) -> int:
        return len(self._profiles)

    def install(self, connector_id: int, content: dict[str, Any]) -> None:
        """Add a profile; it replaces one with the same id, or at the same place and stack level."""
        new = Profile(connector_id, content, now())
        same_id = content["charging_profile_id"]
        self._profiles = [
            old for old in self._profiles if old.content["charging_profile_id"] != same_id and old.place != new.place
        ]
        self._profiles.append(new)

    def clear(self, criteria: dict[str, Any]) -> bool:
        """Remove what ClearChargingProfile's fields select (an id alone decides); False if there was nothing."""
        before = len(self._profiles)
        self._profiles = [profile for profile in self._profiles if not self._selected(profile, criteria)]
        return len(self._profiles) < before

    @staticmethod
    def _selected(profile: Profile, criteria: dict[str, Any]) -> bool:
        if criteria.get("id") is not None:
            return profile.content["charging_profile_id"] == criteria["id"]
        actual = {
            "connector_id": profile.connector_id,
            "charging_profile_purpose": profile.purpose,
            "stack_level": profile.stack_level,
        }
        return all(criteria.get(name) in (None, value) for name, value in actual.items())

    def end_transaction(self, connector_id: int) -> None:
        """A TxProfile lives as long as its transaction."""
        if self._profiles:
            self.clear({"connector_id": connector_id, "charging_profile_purpose": "TxProfile"})

    def limit(self, connector_id: int, moment: datetime, transaction_start: datetime | None = None) -> float:
        """The most power that a connector (0: the charge point) may take at `moment`, in W."""
        limits = [float(self.make.power)]
        for profiles in self._layers(connector_id):
            said = [profile.limit(self.make, moment, transaction_start) for profile in profiles]
            limits += [limit for limit in said if limit is not None][:1]
        return min(limits)

    def _layers(self, connector_id: int) -> list[list[Profile]]:
        """What is combined: the charge point's own limit, and the profile of the transaction or its default."""
        chosen = [
            *self._stack("TxProfile", connector_id),
            *self._stack("TxDefaultProfile", connector_id),
            *self._stack("TxDefaultProfile", 0),
        ]
        return [self._stack("ChargePointMaxProfile", 0), chosen if connector_id else []]

    def _stack(self, purpose: str, connector_id: int) -> list[Profile]:
        """Profiles of one purpose and place, the highest stack level first."""
        found = [item for item in self._profiles if (item.purpose, item.connector_id) == (purpose, connector_id)]
        return sorted(found, key=lambda profile: -profile.stack_level)

    def composite(
        self, connector_id: int, duration: int, unit: str, transaction_start: datetime | None
    ) -> tuple[datetime, dict[str, Any]]:
        """The answer to GetCompositeSchedule: its start, and a ChargingSchedule in `unit`."""
        begin = now()
        # Where nothing charges, the schedule is that of a transaction which begins now.
        transaction_start = transaction_start or begin
        duration = min(duration, LONGEST_SCHEDULE)
        end = begin + timedelta(seconds=duration)
        moments = {begin}.union(*(item.changes(begin, end, transaction_start) for item in self._profiles))
        periods: list[dict[str, Any]] = []
        for moment in sorted(moments):
            limit = self.make.in_unit(self.limit(connector_id, moment, transaction_start), unit)
            if not periods or periods[-1]["limit"] != limit:
                periods.append({"start_period": round((moment - begin).total_seconds()), "limit": limit})
        return begin, {"duration": duration, "charging_rate_unit": unit, "charging_schedule_period": periods}
