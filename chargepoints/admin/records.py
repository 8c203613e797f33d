from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apikeys.admin.display import chip, pretty
from apikeys.admin.tenancy import ChargePointOrganizationFilter, OrganizationFilter, ReadOnlyAdmin, TenantAdmin
from apikeys.clock import now
from chargepoints.models import ChargingProfile, ConnectorStatus, IdTag, Notification, Reservation, SecurityEvent

from .export import export_as_csv
from .filters import ChargePointFilter, StatusFilter


class ChargePointLogAdmin(ReadOnlyAdmin):
    """Rows of a charge point, newest first."""

    list_filter = [ChargePointOrganizationFilter, ChargePointFilter]
    list_select_related = ["charge_point"]
    search_fields = ["charge_point__identity__istartswith"]
    search_help_text = "Start of the charge point's identity"


@admin.register(IdTag)
class IdTagAdmin(TenantAdmin):
    actions = [export_as_csv]
    csv_columns = ("id_tag", "organization.name", "status", "parent_id_tag", "expires_at", "description")
    list_display = ["id_tag", "organization", "status_chip", "parent_id_tag", "expires_at", "description"]
    list_filter = ["status", OrganizationFilter]
    list_select_related = ["organization"]
    search_fields = ["id_tag", "parent_id_tag", "description"]
    fields = [
        *("organization", "id_tag", "parent_id_tag", "status", "expires_at", "allow_concurrent", "description"),
        "created_at",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # Another number is another tag; the sessions name it by its number.
        return ("organization", "id_tag", "created_at") if obj else ("created_at",)

    @admin.display(description="status", ordering="status")
    def status_chip(self, id_tag: Any) -> SafeString:
        return chip(id_tag.authorization(now()).status)


@admin.register(Reservation)
class ReservationAdmin(ChargePointLogAdmin):
    list_display = ["reservation_id", "charge_point", "connector_id", "id_tag", "state_chip", "expires_at"]
    list_filter = ["state", ChargePointOrganizationFilter, ChargePointFilter]
    fields = [
        *("charge_point", "reservation_id", "connector_id", "id_tag", "parent_id_tag", "state_chip"),
        *("created_at", "expires_at", "ended_at"),
    ]

    @admin.display(description="state")
    def state_chip(self, reservation: Any) -> SafeString:
        return chip(reservation.current_state)


@admin.register(ChargingProfile)
class ChargingProfileAdmin(ChargePointLogAdmin):
    list_display = ["charging_profile_id", "charge_point", "connector_id", "purpose", "stack_level", "state_chip"]
    list_filter = [("cleared_at", admin.EmptyFieldListFilter), ChargePointOrganizationFilter, ChargePointFilter]
    fields = [
        *("charge_point", "connector_id", "charging_profile_id", "purpose", "stack_level", "state_chip"),
        *("created_at", "cleared_at", "content"),
    ]

    @admin.display(description="state")
    def state_chip(self, profile: Any) -> SafeString:
        return chip("active" if profile.cleared_at is None else "cleared")

    @admin.display(description="profile")
    def content(self, profile: Any) -> SafeString | str:
        return pretty(profile.profile)


@admin.register(ConnectorStatus)
class ConnectorStatusAdmin(ChargePointLogAdmin):
    list_display = ["timestamp", "charge_point", "connector_id", "status_chip", "error_code", "info"]
    list_filter = [StatusFilter, ChargePointOrganizationFilter, ChargePointFilter]
    fields = [
        *("charge_point", "connector_id", "status_chip", "error_code", "info", "vendor_id", "vendor_error_code"),
        *("timestamp", "received_at"),
    ]

    @admin.display(description="status")
    def status_chip(self, status: Any) -> SafeString:
        return chip(status.status)


@admin.register(Notification)
class NotificationAdmin(ChargePointLogAdmin):
    list_display = ["received_at", "charge_point", "action", "status"]
    fields = ["charge_point", "action", "status", "received_at", "content"]

    @admin.display(description="payload")
    def content(self, notification: Any) -> SafeString | str:
        return pretty(notification.payload)


@admin.register(SecurityEvent)
class SecurityEventAdmin(ChargePointLogAdmin):
    list_display = ["timestamp", "charge_point", "type", "technical_information"]
    fields = ["charge_point", "type", "technical_information", "timestamp", "received_at"]
