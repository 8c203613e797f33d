"""What the lists of charge points must be, and what they are."""

from __future__ import annotations

from collections import defaultdict

from django.db.models import Sum
from django.utils import timezone

from apikeys.models import Organization
from chargepoints.models import ChargePoint, ConnectorStatus, Listing, ListingChange
from chargepoints.models.connector import Reported

Lists = dict[tuple[int, str], list[str]]


def due() -> Lists:
    """Who is in which list, by organization and status, as the connectors say."""
    lists: Lists = defaultdict(list)
    for charge_point in ChargePoint.objects.order_by("identity").prefetch_related("connectors"):
        told = [row for row in charge_point.connectors.all() if (row.connector_id, row.status) != (0, "Available")]
        for status in {""} | {row.status for row in told}:
            lists[charge_point.organization_id, status].append(charge_point.identity)
    return dict(lists)


def kept() -> Lists:
    lists: Lists = defaultdict(list)
    for line in Listing.objects.select_related("charge_point").order_by("identity"):
        assert line.identity == line.charge_point.identity
        lists[line.organization_id, line.status].append(line.identity)
    return dict(lists)


def counted() -> dict[tuple[int, str], int]:
    """How long each list is; without those that emptied tables have left behind."""
    there = ListingChange.objects.filter(organization__in=Organization.objects.all())
    rows = there.values_list("organization", "status").annotate(total=Sum("change"))
    return {(organization, status): total for organization, status, total in rows if total}


def assert_true() -> None:
    lists = due()
    assert kept() == lists
    assert counted() == {of_list: len(lines) for of_list, lines in lists.items()}


def sum_up() -> None:
    while ListingChange.objects.sum_up():
        pass


def report(charge_point: ChargePoint, *statuses: tuple[int, str]) -> None:
    """Have connectors, given by number, say so."""
    report_together([(charge_point, number, status) for number, status in statuses])


def report_together(told: list[tuple[ChargePoint, int, str]]) -> None:
    """Have connectors of several charge points say so in one batch."""
    now = timezone.now()
    ConnectorStatus.objects.report(
        [
            Reported(charge_point.pk, number, status, "NoError", timestamp=now, received_at=now)
            for charge_point, number, status in told
        ]
    )


def move(charge_point: ChargePoint, name: str) -> None:
    """To the organization of that name."""
    owner = Organization.objects.get(name=name)
    ChargePoint.objects.filter(pk=charge_point.pk).update(organization=owner)


def rename(charge_point: ChargePoint, identity: str) -> None:
    ChargePoint.objects.filter(pk=charge_point.pk).update(identity=identity)
