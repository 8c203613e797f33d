from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest

from apikeys.admin.tenancy import ROW_ID_DIGITS, visible
from chargepoints.models import ChargePoint, Connector

STATUSES = (
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEV",
    "SuspendedEVSE",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
)
VENDORS_LISTED = 100


def row_id(text: str) -> int | None:
    """The primary key that a URL names, or None where no row can have it."""
    return int(text) if text.isdecimal() and len(text) <= ROW_ID_DIGITS else None


class ListedFilter(admin.SimpleListFilter):
    """Filters by one of the values that it lists, and by nothing else that a URL may say."""

    @property
    def chosen(self) -> str | None:
        value = self.value()
        return value if value in dict(self.lookup_choices) else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.chosen is None else queryset.filter(**{str(self.parameter_name): self.chosen})


class StatusFilter(ListedFilter):
    """A fixed list: to collect the values from a table of millions would take seconds."""

    title = parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status, status) for status in STATUSES]


class SimulatedFilter(ListedFilter):
    """Rows of simulated charge points, or of real ones."""

    title = parameter_name = "simulated"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Yes"), ("0", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.chosen is None else queryset.filter(charge_point__is_simulated=self.chosen)


class OnlineFilter(admin.SimpleListFilter):
    title = parameter_name = "connection"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("online", "online"), ("offline", "offline")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "online":
                return queryset.online()
            case "offline":
                return queryset.offline()
        return queryset


class ConnectorStatusFilter(StatusFilter):
    """Charge points with at least one connector in a status."""

    title = "connector status"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.chosen is None:
            return queryset
        return queryset.filter(Exists(Connector.objects.filter(charge_point=OuterRef("pk"), status=self.chosen)))


class VendorFilter(ListedFilter):
    title = parameter_name = "vendor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        named = visible(ChargePoint.objects.exclude(vendor=""), request.user)
        vendors = named.order_by("vendor").values_list("vendor", flat=True).distinct()
        return [(vendor, vendor) for vendor in vendors[:VENDORS_LISTED]]


class OneOfFilter(admin.SimpleListFilter):
    """Narrows a long list to the rows of one object, to which a link has led; names it only to who may see it."""

    model: Any = None

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        self.found = self._find(request.user)
        return [] if self.found is None else [(self._asked, str(self.found))]

    @property
    def _asked(self) -> str:
        return str(self.used_parameters.get(str(self.parameter_name), ""))

    def _find(self, user: Any) -> Any:
        return visible(self.model._default_manager.filter(pk=self._pk(self._asked)), user).first()

    def _pk(self, text: str) -> Any:
        return row_id(text)

    def has_output(self) -> bool:
        # Also for an object that is not there: a filter without output is not applied.
        return bool(self._asked)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self._asked:
            return queryset
        return queryset.none() if self.found is None else queryset.filter(**{str(self.parameter_name): self.found})


class ChargePointFilter(OneOfFilter):
    title = "charge point"
    parameter_name = "charge_point"
    model = ChargePoint
