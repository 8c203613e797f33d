from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, models, transaction
from django.db.models.functions import Upper
from django.utils import timezone

from apikeys.models import Organization
from apikeys.querysets import OrganizationQuerySet
from apikeys.statements import places, read

from ..database import update
from ..statements import LISTED

ID_TAG_LENGTH = 20
# What a charge point that names a tag is answered by.
ASKED = ("id", "organization_id", "id_tag", "parent_id_tag", "status", "expires_at", "allow_concurrent")
CHANGEABLE = ("parent_id_tag", "status", "expires_at", "allow_concurrent", "description")


class Authorization(NamedTuple):
    """The answer to an id tag: `status` is an AuthorizationStatus of OCPP 1.6."""

    status: str
    expiry_date: datetime | None = None
    parent_id_tag: str = ""


def named(rows: Any, tags: Iterable[str]) -> Any:
    """The rows whose `id_tag` is one of these tags, which are compared without case (CiString)."""
    return rows.alias(same=Upper("id_tag")).filter(same__in=spellings(tags))


def spellings(tags: Iterable[str]) -> set[str]:
    """What a database may make of these tags where it writes them in upper case."""
    tags = set(tags)
    # As they are, too: a database knows no upper case of some letters for which Python has one.
    return tags | {tag.upper() for tag in tags}


class IdTagQuerySet(OrganizationQuerySet["IdTag"]):
    def listed(self, pairs: Collection[tuple[int, str]]) -> Iterable[IdTag]:
        """Those of these (organization, tag) that are listed."""
        if not pairs:
            return []
        organizations, tags = {organization for organization, _ in pairs}, spellings(tag for _, tag in pairs)
        statement = LISTED.format(columns=", ".join(ASKED), organizations=places(organizations), tags=places(tags))
        return read(self.model, ASKED, statement, [*organizations, *tags])

    def change(
        self, organization: Organization, upserts: list[dict[str, Any]], deletions: list[str]
    ) -> list[tuple[str, str]]:
        """Store these tags, each by the values that it is to have, and delete those; tells what became of each.

        All or nothing: IntegrityError where somebody else lists one of them meanwhile.
        """
        given = {values["id_tag"].upper(): values for values in upserts}
        with transaction.atomic():
            # Who changes many at once waits here: two could wait for each other's tags.
            Organization.objects.select_for_update(no_key=True).get(pk=organization.pk)
            listed = named(self.filter(organization=organization), [*(item["id_tag"] for item in upserts), *deletions])
            known = {row.id_tag.upper(): row for row in listed}
            IdTag.objects.bulk_create(
                IdTag(organization=organization, **values) for tag, values in given.items() if tag not in known
            )
            update(IdTag, CHANGEABLE, [known[tag].changed(values) for tag, values in given.items() if tag in known])
            self.filter(pk__in=[known[tag.upper()].pk for tag in deletions if tag.upper() in known]).delete()
        stored = [(values["id_tag"], "updated" if tag in known else "created") for tag, values in given.items()]
        return stored + [(tag, "deleted" if tag.upper() in known else "not_found") for tag in deletions]


class IdTag(models.Model):
    """A card or token of a driver, known to an organization."""

    class Status(models.TextChoices):
        ACCEPTED = "Accepted"
        BLOCKED = "Blocked"

    organization = models.ForeignKey(Organization, models.CASCADE, db_index=False, related_name="id_tags")
    id_tag = models.CharField(max_length=ID_TAG_LENGTH)
    parent_id_tag = models.CharField(max_length=ID_TAG_LENGTH, blank=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.ACCEPTED)
    expires_at = models.DateTimeField(null=True, blank=True)
    allow_concurrent = models.BooleanField(
        "allow concurrent transactions",
        default=False,
        help_text="Let the tag charge on several connectors at once. Otherwise the second start is ConcurrentTx.",
    )
    description = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = IdTagQuerySet.as_manager()

    class Meta:
        ordering = ["organization", "id_tag"]
        constraints = [
            models.UniqueConstraint(
                "organization",
                Upper("id_tag"),
                name="id_tag_unique",
                violation_error_message="The organization has this id tag already.",
            )
        ]
        indexes = [
            models.Index(
                fields=["organization", "parent_id_tag"], condition=~models.Q(parent_id_tag=""), name="id_tag_parent"
            ),
            models.Index("organization", Upper("id_tag"), condition=models.Q(status="Blocked"), name="id_tag_blocked"),
        ]

    def __str__(self) -> str:
        return self.id_tag

    def authorization(self, at: datetime) -> Authorization:
        """Accepted, Blocked or Expired at that time."""
        status = str(self.status)
        if status == self.Status.ACCEPTED and self.expires_at is not None and self.expires_at <= at:
            status = "Expired"
        return Authorization(status, self.expires_at, self.parent_id_tag)

    def changed(self, values: dict[str, Any]) -> list[Any]:
        """The row for `update`, with these values instead of its own."""
        adapt = connection.ops.adapt_datetimefield_value
        row = {name: values.get(name, getattr(self, name)) for name in CHANGEABLE}
        return [*(adapt(value) if isinstance(value, datetime) else value for value in row.values()), self.pk]
