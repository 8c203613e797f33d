from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection, models, transaction
from django.db.models import Count

from apikeys.models import Organization
from apikeys.querysets import OrganizationQuerySet

from .charge_point import ChargePoint

# Changes of a list that a request may add up, and lines that it may skip.
CHANGES = 200
LINES = 1_000


class ListingQuerySet(OrganizationQuerySet["Listing"]):
    def page(self, extent: Extent, start: int, size: int) -> models.QuerySet[Listing]:
        """So many lines of a list from the one at `start` on, however deep: nearly all before are skipped unseen."""
        if start >= extent.total:
            return self.none()
        skip = start - extent.before
        return self.filter(identity__gte=extent.landmark).order_by("identity")[skip : skip + size]


class Listing(models.Model):
    """A line of an organization's list of charge points: of all, status '', or of those in a status.

    In a status is who has at least one listed connector in it. The database keeps the lines by triggers
    (migrations/_listing.py), whatever is written to charge points and connectors; nobody else writes here.
    """

    pk = models.CompositePrimaryKey("charge_point", "status")
    organization = models.ForeignKey(
        Organization, models.DO_NOTHING, db_index=False, db_constraint=False, related_name="+"
    )
    status = models.CharField(max_length=50)
    identity = models.CharField(max_length=48)
    charge_point = models.ForeignKey(
        ChargePoint, models.DO_NOTHING, db_index=False, db_constraint=False, related_name="+"
    )

    objects = ListingQuerySet.as_manager()

    class Meta:
        # Whole, so that a page is found in the index alone.
        indexes = [models.Index(fields=["organization", "status", "identity", "charge_point"], name="listing_page")]

    def __str__(self) -> str:
        return f"{self.identity} {self.status}".rstrip()


class Extent(NamedTuple):
    """How many lines a list has, and that so many of them are before a landmark among the identities."""

    total: int
    landmark: str
    before: int


# Two who counted at once would both leave what they counted.
LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('chargepoints_listingchange'))"
# In one statement with the other on PostgreSQL: what is committed meanwhile must be either among the lines that are
# counted or among the changes that stay.
REMOVE = "DELETE FROM chargepoints_listingchange WHERE organization_id = %s AND status = %s"
COUNT = """
    INSERT INTO chargepoints_listingchange (organization_id, status, identity, change)
    SELECT organization_id, status, min(identity), count(*) FROM (
        SELECT organization_id, status, identity, (row_number() OVER (ORDER BY identity) - 1) / %s AS part
        FROM chargepoints_listing WHERE organization_id = %s AND status = %s
    ) AS line GROUP BY organization_id, status, part
"""


class ListingChangeQuerySet(OrganizationQuerySet["ListingChange"]):
    def extent(self, status: str, start: int) -> Extent:
        """Of the list of that status, with the last landmark that has no more than `start` lines before it."""
        total, landmark, before = 0, "", 0
        changes = self.filter(status=status).order_by("identity", "-change")
        for identity, change in changes.values_list("identity", "change"):
            if change > 1 and total <= start:
                landmark, before = identity, total
            total += change
        return Extent(total, landmark, before)

    def sum_up(self) -> int:
        """Count the lines of a list that has changed much, in place of its changes; returns how many those were."""
        many = self.filter(change__lte=1).values("organization", "status").annotate(count=Count("pk"))
        row = many.filter(count__gt=CHANGES).order_by("-count").first()
        return row["count"] if row and count(row["organization"], row["status"]) else 0


def count(*of_list: Any) -> bool:
    """Count the lines of a list, given by organization and status; False where another process does already."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute(REMOVE, of_list)
            cursor.execute(COUNT, [LINES, *of_list])
            return True
        cursor.execute(LOCK)
        (is_ours,) = cursor.fetchone()
        if is_ours:
            cursor.execute(f"WITH removed AS ({REMOVE}) {COUNT}", [*of_list, LINES, *of_list])
        return is_ours


class ListingChange(models.Model):
    """By how many lines a list grew at an identity; more than one row says, since all would wait for one to be free.

    A change of more than one counts the lines from that identity on, up to that of the next such.
    """

    organization = models.ForeignKey(
        Organization, models.DO_NOTHING, db_index=False, db_constraint=False, related_name="+"
    )
    status = models.CharField(max_length=50)
    identity = models.CharField(max_length=48)
    change = models.IntegerField()

    objects = ListingChangeQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["organization", "status"], name="listing_change_list")]

    def __str__(self) -> str:
        return f"{self.change:+} at {self.identity}"
