"""What an answer depends on to a charge point that says something; each batch of messages begins with it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models.base import ModelState

from apikeys.models import Organization
from apikeys.statements import among, prepared

from ..statements import CONVERSING, LOSE_PATIENCE, NOW_AS_TEXT
from .lease import LeaseQuerySet

if TYPE_CHECKING:
    from .charge_point import ChargePoint

# What CONVERSING tells of each, in the order of its fields.
OF_CHARGE_POINT = ("id", "organization_id", "is_simulated", "registration_status", "heartbeat_interval_override")
OF_ORGANIZATION = ("id", "accept_unknown_id_tags", "heartbeat_interval")


class NotAccepted(Exception):
    """Somebody was presumed to be an accepted charge point who is not; nothing was stored."""


class ConversingQuerySet(LeaseQuerySet):
    def conversing(self, pks: Collection[int], *, patiently: bool = True) -> dict[int, ChargePoint]:
        """By primary key, with what an answer to them depends on, and `asked_at`: the time by the shared clock.

        Without patience, what this transaction would have to wait for fails it from now on: one held row would hold up
        everybody.
        """
        if not pks:
            return {}
        one_of, named = among(pks)
        patience = "NULL" if patiently or connection.vendor != "postgresql" else LOSE_PATIENCE
        with prepared() as cursor:
            now = NOW_AS_TEXT[connection.vendor]
            cursor.execute(CONVERSING.format(patience=patience, now=now, among=one_of), [named])
            rows = cursor.fetchall()
        asked_at = datetime.fromisoformat(rows[0][1]).replace(tzinfo=UTC) if rows else None
        organizations: dict[int, Organization] = {}
        found = {pk: self._conversing(pk, told, organizations) for _, _, pk, *told in rows}
        for charge_point in found.values():
            charge_point.asked_at = asked_at  # type: ignore[attr-defined]
        return found

    def _conversing(self, pk: int, told: list[Any], organizations: dict[int, Organization]) -> ChargePoint:
        """A row of CONVERSING; those of one organization share it."""
        organization_id, is_simulated, status, override, accepts, interval = told
        if organization_id not in organizations:
            owner = (organization_id, bool(accepts), interval)
            organizations[organization_id] = Organization.from_db(self.db, OF_ORGANIZATION, owner)
        # As from_db makes it, which takes seven times as long to look at each of the many fields that are left out.
        charge_point = self.model.__new__(self.model)
        values = (pk, organization_id, bool(is_simulated), status, override)
        vars(charge_point).update(zip(OF_CHARGE_POINT, values, strict=True), _state=ModelState())
        charge_point._state.db, charge_point._state.adding = self.db, False
        charge_point._state.fields_cache = {"organization": organizations[organization_id]}
        return charge_point
