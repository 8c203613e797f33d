from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone

from apikeys.models import Organization
from apikeys.querysets import OrganizationQuerySet

ID_TAG_LENGTH = 20


class Authorization(NamedTuple):
    """The answer to an id tag: `status` is an AuthorizationStatus of OCPP 1.6."""

    status: str
    expiry_date: datetime | None = None
    parent_id_tag: str = ""


def named(rows: Any, tags: Iterable[str]) -> Any:
    """The rows whose `id_tag` is one of these tags, which are compared without case (CiString)."""
    tags = set(tags)
    # As they are, too: a database knows no upper case of some letters for which Python has one.
    return rows.alias(same=Upper("id_tag")).filter(same__in=tags | {tag.upper() for tag in tags})


class IdTagQuerySet(OrganizationQuerySet["IdTag"]):
    def listed(self, pairs: Collection[tuple[int, str]]) -> Iterable[IdTag]:
        """Those of these (organization, tag) that are listed."""
        if not pairs:
            return []
        organizations, tags = {organization for organization, _ in pairs}, {tag for _, tag in pairs}
        return named(self.filter(organization__in=organizations), tags)


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

    def __str__(self) -> str:
        return self.id_tag

    def authorization(self, at: datetime) -> Authorization:
        """Accepted, Blocked or Expired at that time."""
        status = str(self.status)
        if status == self.Status.ACCEPTED and self.expires_at is not None and self.expires_at <= at:
            status = "Expired"
        return Authorization(status, self.expires_at, self.parent_id_tag)
