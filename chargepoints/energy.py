"""How much energy sessions have delivered since a moment, whenever they began."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import F, FloatField, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Cast, Coalesce, Greatest

from .models import MeterValue, Transaction
from .readings import energy_wh, objects

# What the register showed, in Wh, at some moment.
Reading = tuple[datetime, int]
KNOWN = ("started_at", "stopped_at", "latest_meter_at", "meter_start", "latest_meter_value", "meter_stop")
# As a float: what broken meters tell may add up to more than the database's integers hold.
DELIVERED = Greatest(
    Cast(Coalesce("meter_stop", "latest_meter_value", "meter_start") - F("meter_start"), FloatField()), 0.0
)


def delivered_since(sessions: Any, moment: datetime) -> float:
    """What these sessions have delivered since then, in Wh.

    Of one that was going on at that moment, its register is taken to have risen evenly between the readings around it.
    """
    begun = sessions.filter(started_at__gte=moment).aggregate(total=Sum(DELIVERED))["total"] or 0.0
    has_gone_on = Q(stopped_at__gt=moment) | Q(state=Transaction.State.ACTIVE, latest_meter_at__gt=moment)
    crossing = sessions.filter(has_gone_on, started_at__lt=moment).only(*KNOWN).order_by()
    readings = MeterValue.objects.filter(transaction=OuterRef("pk")).values("timestamp")
    before = nearest(crossing, readings.filter(timestamp__lte=moment).order_by("-timestamp"))
    after = nearest(crossing, readings.filter(timestamp__gt=moment).order_by("timestamp"))
    return begun + sum(
        delivered_by(session, moment, before.get(session.pk), after.get(session.pk)) for session in crossing
    )


def nearest(sessions: Any, moments: Any) -> dict[int, Reading]:
    """For each session, what its register showed at the first of these moments; left out, where that tells nothing."""
    at_moment = sessions.filter(meter_values__timestamp=Subquery(moments[:1]))
    found: dict[int, tuple[datetime, list[dict[str, Any]]]] = {}
    for pk, timestamp, samples in at_moment.values_list(
        "pk", "meter_values__timestamp", "meter_values__sampled_values"
    ):
        # Phases may come one by one, all of one moment.
        found.setdefault(pk, (timestamp, []))[1].extend(objects(samples))
    energies = {pk: (timestamp, energy_wh(samples)) for pk, (timestamp, samples) in found.items()}
    return {pk: (timestamp, energy) for pk, (timestamp, energy) in energies.items() if energy is not None}


def delivered_by(session: Transaction, moment: datetime, before: Reading | None, after: Reading | None) -> float:
    """What a session that began before a moment has delivered since; its own ends are readings, too."""
    end, current = session.stopped_at or session.latest_meter_at or moment, session.current_meter_value
    began_at, first = before or (session.started_at, session.meter_start)
    ended_at, last = after or (end, current)
    share = (moment - began_at) / (ended_at - began_at) if ended_at > began_at else 0.0
    register = first + (last - first) * share
    # Whatever the meter says: neither less than nothing, nor more than the whole session.
    return min(max(0.0, current - register), session.energy_delivered_wh)
