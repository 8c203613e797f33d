from __future__ import annotations

from typing import Any, Self, TypeVar

from django.db import models

T = TypeVar("T", bound=models.Model)


def reaches(api_key: Any, charge_point: Any) -> bool:
    """Whether `for_key` finds this charge point: the same of a row that has been read."""
    if charge_point.organization_id != api_key.organization_id:
        return False
    if api_key.is_test and not charge_point.is_simulated:
        return False
    return api_key.allowed_charge_points is None or charge_point.identity in api_key.allowed_charge_points


class OrganizationQuerySet(models.QuerySet[T]):
    """Rows that belong to an organization, directly or through `organization_path`."""

    organization_path = "organization"
    # To the identity of the charge point that a row is of, or ''.
    charge_point_path = ""
    # To the column that says whether a row is of the sandbox; '' for rows that are no business of test keys.
    sandbox_path = ""

    def for_organization(self, organization: Any) -> Self:
        """The rows of one organization: the only place where tenancy of the API is written."""
        return self.filter(**{self.organization_path: organization})

    def for_key(self, api_key: Any) -> Self:
        """The rows that a key reaches: of its organization and, where it is limited to some charge points, of those.

        A test key reaches those of the sandbox only.
        """
        rows = self.for_organization(api_key.organization)
        if api_key.is_test:
            rows = rows.filter(**{self.sandbox_path: True}) if self.sandbox_path else rows.none()
        if api_key.allowed_charge_points is None or not self.charge_point_path:
            return rows
        return rows.filter(**{f"{self.charge_point_path}__in": api_key.allowed_charge_points})

    def for_user(self, user: Any) -> Self:
        """The rows that a staff user may see and touch: of their own organizations; a superuser all."""
        if user.is_superuser:
            return self
        return self.filter(**{f"{self.organization_path}__in": user.organizations.all()})


class ChargePointOwnedQuerySet(OrganizationQuerySet[T]):
    """Rows that belong to an organization through their charge point."""

    organization_path = "charge_point__organization"
    charge_point_path = "charge_point__identity"
    sandbox_path = "charge_point__is_simulated"


class OrganizationsQuerySet(OrganizationQuerySet[T]):
    """Organizations themselves."""

    organization_path = "pk"
