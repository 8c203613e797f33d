from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apikeys.admin import once
from apikeys.admin.asking import ask
from apikeys.admin.display import chip
from apikeys.admin.tenancy import OrganizationFilter, ReadOnlyInline, TenantAdmin
from chargepoints.credentials import generate_password
from chargepoints.identities import socket_url
from chargepoints.models import ChargePoint, ConformanceFinding, Connector
from chargepoints.models.charge_point import SecurityProfile

from .export import export_as_csv
from .filters import ConnectorStatusFilter, OnlineFilter, VendorFilter

LATEST_TRANSACTIONS = 10


def connector_chips(connectors: Any) -> SafeString:
    """A chip for each connector; for the charge point itself only while something is the matter with it."""
    shown = [connector for connector in connectors if connector.connector_id or connector.status != "Available"]
    chips = ((chip(row.status, f"{row.connector_id}: {row.status or 'unknown'}"),) for row in shown)
    return format_html_join(" ", "{}", chips)


class ChargePointForm(forms.ModelForm):
    def clean_security_profile(self) -> int:
        profile: int = self.cleaned_data["security_profile"]
        if SecurityProfile(profile).needs_password and not self.instance.password_digest:
            raise forms.ValidationError("The charge point has no password yet. Set one; that requires it, too.")
        return profile


class NewChargePointForm(forms.ModelForm):
    once = forms.CharField(widget=forms.HiddenInput, initial=once.new_mark, required=False)


class PasswordForm(forms.Form):
    password = forms.CharField(
        required=False,
        min_length=8,
        max_length=40,
        help_text="Leave empty to generate one of 40 hex characters. OCPP asks for 16 to 40 characters.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


class ConnectorInline(ReadOnlyInline):
    model = Connector
    fields = ["connector_id", "status_chip", "error", "info", "availability", "scheduled_availability", "timestamp"]
    readonly_fields = ["status_chip", "error"]

    @admin.display(description="status")
    def status_chip(self, connector: Any) -> SafeString:
        return chip(connector.status)

    @admin.display(description="error")
    def error(self, connector: Any) -> str:
        codes = (connector.error_code, connector.vendor_id, connector.vendor_error_code)
        return " / ".join(code for code in codes if code and code != "NoError") or "-"


class FindingInline(ReadOnlyInline):
    model = ConformanceFinding
    verbose_name_plural = "departures from OCPP that were repaired"
    fields = ["kind", "detail", "count", "first_seen_at", "last_seen_at"]


@admin.register(ChargePoint)
class ChargePointAdmin(TenantAdmin):
    list_display = [
        *("identity", "connection", "connector_states", "hardware", "organization", "last_seen_at"),
    ]
    list_filter = [OnlineFilter, ConnectorStatusFilter, "is_simulated", OrganizationFilter, VendorFilter]
    list_select_related = ["organization"]
    search_fields = ["identity", "vendor", "model", "serial_number", "charge_box_serial_number"]
    search_help_text = "Identity, vendor, model or serial number"
    inlines = [ConnectorInline, FindingInline]
    actions = [export_as_csv]
    csv_columns = (
        *(
            "identity",
            "organization.name",
            "is_online",
            "is_simulated",
            "description",
            "vendor",
            "model",
            "serial_number",
        ),
        *("charge_box_serial_number", "firmware_version", "meter_type", "meter_serial_number", "iccid", "imsi"),
        *("security_profile", "registration_status", "address"),
        *("connected_at", "disconnected_at", "last_boot_at", "last_seen_at", "created_at"),
    )
    change_form_template = "admin/chargepoints/chargepoint/change_form.html"
    NEW = ("organization", "identity", "description", "is_simulated", "security_profile", "assume_ocpp16", "once")
    HARDWARE = (
        ("vendor", "model", "firmware_version"),
        ("serial_number", "charge_box_serial_number", "meter_serial_number"),
        ("meter_type", "iccid", "imsi"),
        ("firmware_status", "diagnostics_status"),
    )
    TIMES = (("connected_at", "disconnected_at", "address"), ("last_boot_at", "last_seen_at", "created_at"))
    FIELDSETS = (
        (None, {"fields": ("identity", "organization", "is_simulated", "description")}),
        (
            "How it may connect",
            {
                "fields": (
                    "security_profile",
                    "registration_status",
                    "heartbeat_interval_override",
                    "assume_ocpp16",
                    "send_pings",
                )
            },
        ),
        ("What it told us", {"fields": HARDWARE, "classes": ["columns"]}),
        ("Connection", {"fields": TIMES, "classes": ["columns"]}),
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs.setdefault("form", ChargePointForm if obj else NewChargePointForm)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.FIELDSETS if obj else ((None, {"fields": self.NEW}),)

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.inlines if obj else []

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        # The identity is typed into hardware, the sessions of an organization stay with it, and no real session may
        # come within the reach of a test key.
        told = (name for line in (*self.HARDWARE, *self.TIMES) for name in line)
        return ("identity", "organization", "is_simulated", *told) if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        charge_points = super().get_queryset(request).annotate(online=ChargePoint.has_socket())
        return charge_points.prefetch_related("connectors")

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.password_view)
        own = path("<path:object_id>/password/", view, name="chargepoints_chargepoint_password")
        return [own, *super().get_urls()]

    def obstacle(self, obj: Any) -> str:
        """Sessions are bills, but for simulated ones; they must outlive a slip of the hand."""
        has_sessions = not obj.is_simulated and (obj.transactions.exists() or obj.orphan_stops.exists())
        return "it has transactions" if has_sessions else ""

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, reverse("admin:chargepoints_chargepoint_changelist"))
        context = {**(extra_context or {}), "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        obj.secret = generate_password() if SecurityProfile(obj.security_profile).needs_password else None
        names = ("description", "is_simulated", "security_profile", "assume_ocpp16")
        fields = {name: form.cleaned_data[name] for name in names}
        obj.pk = ChargePoint.objects.provision(obj.organization, obj.identity, obj.secret, **fields).pk
        return None

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        if obj.secret is None:
            return super().response_add(request, obj, self.page_of(obj))
        return self.show_password(request, obj, obj.secret)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        charge_point = kwargs.get("obj")
        if charge_point is not None:
            context.update(self._panel(request, charge_point))
        return super().render_change_form(request, context, *args, **kwargs)

    def _panel(self, request: HttpRequest, charge_point: Any) -> dict[str, Any]:
        """What the page of a charge point shows around its form."""
        return {
            "connection": self.connection(charge_point),
            "connector_states": self.connector_states(charge_point),
            "socket_url": socket_url(request, charge_point.identity),
            "latest_transactions": charge_point.transactions.all()[:LATEST_TRANSACTIONS],
            "undeletable": self.obstacle(charge_point),
        }

    def password_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        charge_point = self.get_object(request, object_id)
        if charge_point is None:
            raise Http404
        if not self.has_change_permission(request, charge_point):
            raise PermissionDenied
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, self.page_of(charge_point))
        form = PasswordForm(request.POST or None)
        if not form.is_valid():
            return self._ask_for_password(request, charge_point, form)
        secret = form.cleaned_data["password"] or generate_password()
        charge_point.set_password(secret)
        self.log_change(request, charge_point, "Set a new password.")
        return self.show_password(request, charge_point, secret)

    def _ask_for_password(self, request: HttpRequest, charge_point: Any, form: PasswordForm) -> HttpResponse:
        return ask(
            request,
            charge_point,
            title=f"New password for {charge_point}",
            submit="Set password",
            form=form,
            explanation="The old password is refused from now on; a live connection stays until it closes.",
            mark=once.new_mark(),
        )

    def show_password(self, request: HttpRequest, charge_point: Any, secret: str) -> HttpResponse:
        """The one page that shows a charge point's password, with what else is typed into the hardware."""
        return once.show_once(
            request,
            {**self.admin_site.each_context(request), "opts": self.opts, "original": charge_point},
            title=f"Password of {charge_point}",
            label="password",
            secret=secret,
            back=self.page_of(charge_point),
            **{"WebSocket URL": socket_url(request, charge_point.identity), "User name": charge_point.identity},
        )

    def page_of(self, charge_point: Any) -> str:
        return reverse("admin:chargepoints_chargepoint_change", args=[charge_point.pk])

    @admin.display(description="connection")
    def connection(self, charge_point: Any) -> SafeString:
        return chip("online" if charge_point.online else "offline")

    @admin.display(description="hardware", ordering="vendor")
    def hardware(self, charge_point: Any) -> str:
        return f"{charge_point.vendor} {charge_point.model}".strip() or "-"

    @admin.display(description="connectors")
    def connector_states(self, charge_point: Any) -> SafeString:
        return connector_chips(charge_point.connectors.all()) or chip("", "none yet")
