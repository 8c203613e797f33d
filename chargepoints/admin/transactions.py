from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from apikeys.admin.display import chip, duration, pretty, watt_hours
from apikeys.admin.tenancy import ChargePointOrganizationFilter, ReadOnlyAdmin
from chargepoints.models import MeterValue, OrphanStop, Transaction

from .export import export_as_csv
from .filters import ChargePointFilter, OneOfFilter, SimulatedFilter, row_id
from .readings import summary, table

READINGS_SHOWN = 200


class TransactionFilter(OneOfFilter):
    title = parameter_name = "transaction"
    model = Transaction


@admin.register(Transaction)
class TransactionAdmin(ReadOnlyAdmin):
    list_display = [
        *("id", "charge_point", "connector_id", "id_tag", "state_chip", "started_at", "length", "energy"),
        "stop_reason",
    ]
    list_filter = ["state", "started_at", SimulatedFilter, ChargePointOrganizationFilter, ChargePointFilter]
    list_select_related = ["charge_point__organization"]
    search_fields = ["charge_point__identity__istartswith", "id_tag__iexact"]
    search_help_text = "Start of the charge point's identity, an id tag, or a transaction id"
    change_form_template = "admin/chargepoints/transaction/change_form.html"
    actions = [export_as_csv]
    csv_columns = (
        *("id", "charge_point.identity", "charge_point.organization.name", "connector_id", "id_tag", "state"),
        *("started_at", "stopped_at", "meter_start", "meter_stop", "energy_delivered_wh", "duration_seconds"),
        *("stop_reason", "stop_id_tag", "authorization_status", "charge_point.is_simulated"),
    )
    FIELDSETS: dict[str | None, Any] = {
        None: [("charge_point", "connector_id", "state_chip"), ("energy", "length", "authorization_status")],
        "Start": [("started_at", "start_received_at", "start"), ("id_tag", "reservation_id")],
        "Stop": [("stopped_at", "stop_received_at", "stop"), ("stop_reason", "stop_id_tag")],
    }
    fieldsets = [(name, {"fields": lines, "classes": ["columns"]}) for name, lines in FIELDSETS.items()]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        found = queryset.filter(pk=row_id(search_term))
        if found.exists():
            return found, False
        return super().get_search_results(request, queryset, search_term)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        newest = kwargs["obj"].meter_values.order_by("-timestamp", "-id")[: READINGS_SHOWN + 1]
        shown = list(newest)
        context.update(readings=table(shown[:READINGS_SHOWN]), more_readings=len(shown) > READINGS_SHOWN)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="state", ordering="state")
    def state_chip(self, transaction: Any) -> SafeString:
        return chip(transaction.state, transaction.get_state_display())

    @admin.display(description="energy")
    def energy(self, transaction: Any) -> str:
        return watt_hours(transaction.energy_delivered_wh)

    @admin.display(description="duration")
    def length(self, transaction: Any) -> str:
        return duration(transaction.duration_seconds)

    @admin.display(description="meter at start")
    def start(self, transaction: Any) -> str:
        return watt_hours(transaction.meter_start)

    @admin.display(description="meter at stop")
    def stop(self, transaction: Any) -> str:
        return watt_hours(transaction.meter_stop)


@admin.register(MeterValue)
class MeterValueAdmin(ReadOnlyAdmin):
    list_display = ["timestamp", "charge_point", "connector_id", "transaction", "values"]
    list_filter = [ChargePointOrganizationFilter, ChargePointFilter, TransactionFilter]
    list_select_related = ["charge_point", "transaction"]
    ordering = ["-id"]
    search_fields = ["charge_point__identity__istartswith"]
    search_help_text = "Start of the charge point's identity"
    fields = ["charge_point", "connector_id", "transaction", "timestamp", "received_at", "as_sent"]

    @admin.display(description="sampled values")
    def values(self, meter_value: Any) -> str:
        return summary(meter_value)

    @admin.display(description="sampled values")
    def as_sent(self, meter_value: Any) -> SafeString | str:
        return pretty(meter_value.sampled_values)


@admin.register(OrphanStop)
class OrphanStopAdmin(ReadOnlyAdmin):
    list_display = ["transaction_id_sent", "charge_point", "stopped_at", "meter", "reason", "id_tag", "matched"]
    list_filter = [ChargePointOrganizationFilter, ChargePointFilter]
    list_select_related = ["charge_point", "matched"]
    search_fields = ["charge_point__identity__istartswith"]
    search_help_text = "Start of the charge point's identity"
    fields = [
        *("charge_point", "transaction_id_sent", "matched", "meter", "stopped_at", "received_at", "reason", "id_tag"),
    ]

    @admin.display(description="meter at stop")
    def meter(self, orphan: Any) -> str:
        return watt_hours(orphan.meter_stop)
