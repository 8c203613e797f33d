"""Which socket speaks for a charge point, and until when that is taken for granted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from apikeys.querysets import OrganizationQuerySet
from apikeys.statements import LINES, among, lined, prepared

from ..database import update
from ..lookups import IsAmong
from ..statements import ACCEPTED, CHANNELS, HOLD, NOT_ACCEPTED
from . import happened
from .event import OutboxEvent

if TYPE_CHECKING:
    from .charge_point import ChargePoint  # noqa: F401  named in a string

# A worker renews the leases of its sockets four times within this; one that dies leaves them to expire.
LEASE = timedelta(seconds=60)
BATCH = 500
# The channel of each socket, with the charge point that it speaks for.
Sockets = Mapping[str, int]
CONNECTED = ("channel_name", "online_until", "connected_at", "last_seen_at", "address")


class Holder(NamedTuple):
    """The socket that has a charge point, if any, at a moment of the database's clock."""

    channel_name: str
    online_until: datetime | None
    now: datetime

    @property
    def is_online(self) -> bool:
        return self.has_lease and self.online_until > self.now  # type: ignore[operator]

    @property
    def has_lease(self) -> bool:
        """Whether nobody has been told yet that the charge point is offline."""
        return bool(self.channel_name) and self.online_until is not None


class LeaseQuerySet(OrganizationQuerySet["ChargePoint"]):
    def online(self) -> Self:
        """Charge points with a live socket, by the database's clock."""
        return self.exclude(channel_name="").filter(online_until__gt=Now())

    def offline(self) -> Self:
        return self.filter(Q(channel_name="") | Q(online_until=None) | Q(online_until__lte=Now()))

    def hold(self, pks: Collection[int], *, patiently: bool) -> set[int]:
        """Lock these rows for the rest of the transaction, without patience only the free ones; returns the locked."""
        return self._lock(pks, connection.ops.for_update_sql(no_key=True, skip_locked=not patiently))

    def keep(self, pks: Collection[int]) -> set[int]:
        """Have nobody delete these before the transaction ends, as foreign keys to them do; returns who is there."""
        return self._lock(pks, "FOR KEY SHARE")

    def _lock(self, pks: Collection[int], lock: str) -> set[int]:
        """Lock these rows so, where the database locks rows; returns those that there are."""
        if not pks:
            return set()
        lock = lock if connection.features.has_select_for_update else ""
        one_of, named = among(pks)
        with prepared() as cursor:
            cursor.execute(HOLD.format(among=one_of, lock=lock), [named])
            return {pk for (pk,) in cursor.fetchall()}

    def connect(self, sockets: list[tuple[int, str, str]], *, patiently: bool) -> dict[str, str]:
        """Make these sockets, each (charge point, channel, address), the ones that commands reach.

        Returns for each channel the one that it replaces, or ''; left out, without patience, is whose row is held.
        """
        adapt = connection.ops.adapt_datetimefield_value
        replaced: dict[str, str] = {}
        changes: list[Any] = []
        events: list[happened.Happened] = []
        with transaction.atomic():
            held = self.hold({pk for pk, *_ in sockets}, patiently=patiently)
            rows = self.filter(pk__in=held).annotate(now=Now())
            held_by = rows.values_list("pk", "channel_name", "online_until", "now")
            current = {pk: Holder(channel_name, until, now) for pk, channel_name, until, now in held_by}
            for pk, channel_name, address in sockets:
                if pk in current:
                    before = current[pk]
                    replaced[channel_name], now = before.channel_name, before.now
                    current[pk] = Holder(channel_name, now + LEASE, now)
                    changes.append((channel_name, adapt(now + LEASE), adapt(now), adapt(now), address, pk))
                    events += told_of_connection(pk, before, address)
            update(self.model, CONNECTED, changes)
            OutboxEvent.objects.record(events)
        return replaced

    def disconnect(self, pk: int, channel_name: str) -> bool:
        """Mark the charge point offline, unless a newer socket has taken over."""
        rows = self.filter(pk=pk, channel_name=channel_name)
        with transaction.atomic():
            last = rows.select_for_update(no_key=True).values_list("online_until", Now()).first()
            if last is None:
                return False
            rows.update(channel_name="", online_until=None, disconnected_at=Now())
            online_until, now = last
            if online_until is not None:
                OutboxEvent.objects.record([happened.disconnected(pk, now)])
        return True

    def renew_leases(self, sockets: Sockets) -> dict[str, str]:
        """Keep these sockets online for another lease; returns what `owning` does."""
        named = self.filter(IsAmong(F("channel_name"), [*sockets]))
        running = named.filter(online_until__gt=Now())
        if running.update(online_until=Now() + LEASE) < len(sockets):
            named._bring_back()
        return self.owning(sockets)

    def _bring_back(self) -> None:
        """Renew those that passed for offline, because this process hung or the database was away."""
        with transaction.atomic():
            lapsed = self.filter(Q(online_until=None) | Q(online_until__lte=Now()))
            held = lapsed.select_for_update(no_key=True).order_by("pk")
            rows = list(held.values_list("pk", "online_until", "address", Now()))
            self.filter(pk__in=[pk for pk, *_ in rows]).update(online_until=Now() + LEASE)
            back = [(pk, now, address) for pk, online_until, address, now in rows if online_until is None]
            OutboxEvent.objects.record(happened.connected(*each) for each in back)

    def owning(self, sockets: Sockets) -> dict[str, str]:
        """Those of these sockets that still own their charge point, with its registration status."""
        one_of, named = among([*sockets.values()])
        statement = NOT_ACCEPTED.format(lines=LINES[connection.vendor], among=one_of)
        with prepared() as cursor:
            cursor.execute(statement, [lined([*sockets]), named])
            others = {name for (name,) in cursor.fetchall()}
        owning = {name: "Accepted" for name in sockets if name not in others}
        if others:
            rows = self.filter(IsAmong(F("channel_name"), [*others])).order_by()
            owning |= rows.values_list("channel_name", "registration_status")
        return owning

    def accepted(self, channels: str) -> tuple[int, int]:
        """How many sockets, whose channels begin so and end in a number, own an accepted charge point; and their sum.

        It takes a tenth of what `owning` does, which is asked only where this is not as expected.
        """
        with prepared() as cursor:
            statement = ACCEPTED.format(channels=CHANNELS[connection.vendor])
            cursor.execute(statement, [len(channels) + 1, channels, after(channels)])
            count, numbers = cursor.fetchone()
        return count, int(numbers or 0)

    def end_leases(self) -> int:
        """Mark offline, some at a time, the charge points whose lease ran out; returns how many.

        Their worker died. The channel stays: where it only hung, or the database was away, a renewal makes the charge
        point online again, and its socket need not close.
        """
        with transaction.atomic():
            lapsed = self.filter(online_until__lte=Now())
            claimed = lapsed.select_for_update(skip_locked=True, no_key=True).values_list("pk", "online_until")[:BATCH]
            ended = list(claimed)
            self.filter(pk__in=[pk for pk, _ in ended]).update(online_until=None, disconnected_at=F("online_until"))
            OutboxEvent.objects.record(happened.disconnected(*each) for each in ended)
            return len(ended)


def told_of_connection(pk: int, before: Holder, address: str) -> list[happened.Happened]:
    """What a new socket changes: one that replaces a live one, nothing."""
    if before.is_online:
        return []
    ended = [happened.disconnected(pk, before.online_until)] if before.has_lease else []
    return [*ended, happened.connected(pk, before.now, address)]


def after(beginning: str) -> str:
    """The first text behind all that begin so."""
    return beginning[:-1] + chr(ord(beginning[-1]) + 1)
