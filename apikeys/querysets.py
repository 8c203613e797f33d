from __future__ import annotations

from typing import Any, Self, TypeVar

from django.db import models

T = TypeVar("T", bound=models.Model)


class OrganizationQuerySet(models.QuerySet[T]):
    """Rows that belong to an organization, directly or through `organization_path`."""

    organization_path = "organization"

    def for_organization(self, organization: Any) -> Self:
        """The rows of one organization: the only place where tenancy of the API is written."""
        return self.filter(**{self.organization_path: organization})

    def for_user(self, user: Any) -> Self:
        """The rows that a staff user may see and touch: of their own organizations; a superuser all."""
        if user.is_superuser:
            return self
        return self.filter(**{f"{self.organization_path}__in": user.organizations.all()})


class ChargePointOwnedQuerySet(OrganizationQuerySet[T]):
    """Rows that belong to an organization through their charge point."""

    organization_path = "charge_point__organization"


class OrganizationsQuerySet(OrganizationQuerySet[T]):
    """Organizations themselves."""

    organization_path = "pk"
