"""Tenancy of the admin: one class, under every admin of a row that belongs to an organization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import CASCADE, Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst

from apikeys.models import Organization

from .paginator import CappedPaginator

# Those of Django's own filters.
URL_LOOKUPS = frozenset({"exact", "gte", "lt", "isnull", "isempty"})
ROW_ID_DIGITS = 18  # what 64 bits hold


def visible(rows: QuerySet[Any], user: Any) -> QuerySet[Any]:
    """What of `rows` the user may see; of rows without a tenancy of their own, nothing, unless a superuser asks."""
    if user.is_superuser:
        return rows
    for_user = getattr(rows, "for_user", None)
    return rows.none() if for_user is None else for_user(user)


def only_organization(user: Any) -> dict[str, Any]:
    """What a form starts with: who has one organization means that one."""
    organizations = visible(Organization.objects.all(), user)[:2]
    return {"organization": organizations[0]} if len(organizations) == 1 else {}


class VisibleChoices:
    """Offers and accepts in foreign keys only what the user may see."""

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any]:
        return visible(db_field.remote_field.model._default_manager.using(db), request.user)


class TenantAdmin(VisibleChoices, admin.ModelAdmin):
    """Shows a staff user the rows of their own organizations and nothing else."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(super().get_queryset(request), request.user)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # A filter in the URL must neither tell a digest letter by letter nor be what a database stumbles over.
        name, *rest = lookup.split(LOOKUP_SEP)
        if "digest" in name or "\x00" in str(value) or not URL_LOOKUPS.issuperset(rest):
            return False
        own = [getattr(list_filter, "parameter_name", "") for list_filter in self.list_filter]
        return lookup in own or (self._can_hold(name, value) and super().lookup_allowed(lookup, value, request))

    def _can_hold(self, name: str, value: str) -> bool:
        """False for the id of a related row that has more than 64 bits, for which SQLite has no answer."""
        try:
            return len(value) <= ROW_ID_DIGITS or not self.opts.get_field(name).is_relation
        except FieldDoesNotExist:
            return True

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        title = capfirst(str(self.opts.verbose_name_plural))
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**only_organization(request.user), **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool) -> None:
        # Only what the person changed: a socket may have written the row's other fields meanwhile.
        obj.save(**({"update_fields": form.changed_data} if change else {}))

    def obstacle(self, obj: Any) -> str:
        """Why this row must never be deleted, or ''."""
        return ""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or not self.obstacle(obj))

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Counts what goes along with `objs`; Django's own would load every row of the logs to list it."""
        protected = [f"{obj}: {self.obstacle(obj)}" for obj in objs if self.obstacle(obj)]
        lacking = set() if self.has_delete_permission(request) else {str(self.opts.verbose_name)}
        return [str(obj) for obj in objs], {} if protected else dict(self._dependents(objs)), lacking, protected

    def _dependents(self, objs: Any) -> Iterator[tuple[str, int]]:
        yield str(self.opts.verbose_name_plural), len(objs)
        for relation in self.opts.related_objects:
            if relation.on_delete is CASCADE:
                rows = relation.related_model._default_manager.filter(**{f"{relation.field.name}__in": list(objs)})
                if count := rows.count():
                    yield str(relation.related_model._meta.verbose_name_plural), count


class ReadOnlyAdmin(TenantAdmin):
    """Rows that charge points and commands write; people read them."""

    paginator = CappedPaginator
    # The order of the tables' indexes; any other would sort millions of rows.
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class TenantInline(VisibleChoices, admin.TabularInline):
    """Related rows that the user may see."""

    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return visible(super().get_queryset(request), request.user)


class ReadOnlyInline(TenantInline):
    """Related rows that charge points write."""

    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class OrganizationFilter(admin.SimpleListFilter):
    """Filters by organization, and lists only the user's own."""

    title = "organization"
    parameter_name = "organization"
    path: ClassVar[str] = "organization"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        organizations = visible(Organization.objects.all(), request.user)
        return [(str(pk), name) for pk, name in organizations.values_list("pk", "name")]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        return queryset.filter(**{self.path: self.value()})


class ChargePointOrganizationFilter(OrganizationFilter):
    """The same for rows that belong to a charge point."""

    path = "charge_point__organization"
