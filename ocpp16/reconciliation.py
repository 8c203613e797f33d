"""Transactions whose end the charge point did not tell, or told in another order than we heard it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction as database
from django.db.models import Exists, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from chargepoints.models import ChargePoint, ConnectorStatus, OrphanStop, Transaction
from chargepoints.readings import energy_wh

from .transactions import end_beside, match

BATCH = 200
AVAILABLE = "Available"
# How long a connector must have been Available before a transaction on it is taken for over.
SETTLED = timedelta(hours=1)
# How long a charge point that has come back may take for the messages that it kept meanwhile.
REPLAYED = timedelta(minutes=10)


def infer_stops() -> int:
    """Close as inferred transactions that are over by all that we heard; returns how many."""
    return decide(forgotten(), infer_stop)


def decide(rows: QuerySet[Any], is_decided: Callable[[Any], bool]) -> int:
    """Go once through the rows, a page a database transaction: what stays undecided holds up nothing behind it."""
    count, last = 0, 0
    while True:
        with database.atomic():
            claimed = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
            page = list(claimed.filter(pk__gt=last).order_by("pk")[:BATCH])
            count += sum(is_decided(row) for row in page)
        if len(page) < BATCH:
            return count
        last = page[-1].pk


def infer_stop(transaction: Transaction) -> bool:
    """Close at the last reading, which a stop that comes after all supersedes; False where energy still flows."""
    if is_delivering(transaction) or not transaction.infer_stop():
        return False
    end_beside(transaction)
    return True


def forgotten() -> QuerySet[Transaction]:
    """Active transactions whose connector became Available after their start and has told nothing else for long.

    Only of charge points that are there to tell: what is not online may still be charging, and keeps its stop for us.
    """
    long_ago = Now() - SETTLED
    reports = ConnectorStatus.objects.filter(
        charge_point=OuterRef("charge_point"), connector_id=OuterRef("connector_id")
    )
    settled = reports.filter(received_at__lte=long_ago).order_by("-id")[:1]
    there = ChargePoint.objects.online().filter(connected_at__lte=Now() - REPLAYED)
    return (
        Transaction.objects.active()
        .filter(start_received_at__lte=long_ago, charge_point__in=there)
        .annotate(settled=Subquery(settled.values("status")), settled_at=Subquery(settled.values("timestamp")))
        .filter(settled=AVAILABLE, settled_at__gt=F("started_at"))
        .exclude(Exists(reports.filter(received_at__gt=long_ago).exclude(status=AVAILABLE)))
        .select_related("charge_point")
    )


def is_delivering(transaction: Transaction) -> bool:
    """Whether the energy register has moved of late: some report readings of an idle connector, which do not."""
    recent = transaction.meter_values.filter(received_at__gt=Now() - SETTLED)
    readings = {energy_wh(samples) for samples in recent.values_list("sampled_values", flat=True)}
    return len(readings - {None}) > 1


def match_overtaken_stops() -> int:
    """Close transactions whose stop had come before their start; returns how many."""
    return decide(overtaking(), match_overtaking)


def overtaking() -> QuerySet[OrphanStop]:
    """Stops that nothing matched when they came, of charge points with an active transaction that was told later."""
    later = Transaction.objects.active().filter(
        charge_point=OuterRef("charge_point"),
        start_received_at__gt=OuterRef("received_at"),
        started_at__lte=OuterRef("stopped_at"),
    )
    return OrphanStop.objects.filter(Exists(later), matched=None).select_related("charge_point")


def match_overtaking(orphan: OrphanStop) -> bool:
    """Match a stop with the transaction that it overtook; False if either could mean another."""
    meant = Transaction.objects.matching_stop(
        orphan.charge_point, id_tag=orphan.id_tag, meter_stop=orphan.meter_stop, stopped_at=orphan.stopped_at
    )
    if meant is None or meant.start_received_at <= orphan.received_at:
        return False
    if meant.latest_meter_at is not None and meant.latest_meter_at > orphan.stopped_at:
        return False  # it went on after that
    rivals = OrphanStop.objects.filter(charge_point=orphan.charge_point, matched=None)
    if rivals.filter(stopped_at__gte=meant.started_at, meter_stop__gte=meant.meter_start).count() > 1:
        return False
    match(orphan, meant)
    return True
