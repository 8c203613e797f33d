from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apikeys.admin.asking import ask
from apikeys.admin.display import chip, pretty
from apikeys.admin.tenancy import OrganizationFilter, ReadOnlyAdmin, visible
from chargepoints.events import EVENTS, body
from chargepoints.models import Event, WebhookDelivery, WebhookEndpoint

from .filters import ChargePointFilter, ListedFilter, OneOfFilter

MAY_RESEND = "chargepoints.change_webhookendpoint"


class EndpointFilter(OneOfFilter):
    title = "endpoint"
    parameter_name = "endpoint"
    model = WebhookEndpoint

    def _find(self, user: Any) -> Any:
        try:
            pk = uuid.UUID(self._asked)
        except ValueError:
            return None
        return visible(WebhookEndpoint.objects.filter(pk=pk), user).first()


class EndpointOrganizationFilter(OrganizationFilter):
    path = "endpoint__organization"


class TypeFilter(ListedFilter):
    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(kind), str(kind)) for kind in EVENTS]


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "type", "charge_point", "organization"]
    list_filter = [TypeFilter, OrganizationFilter, ChargePointFilter]
    list_select_related = ["charge_point", "organization"]
    fields = ["uuid", "type", "organization", "charge_point", "created_at", "content"]

    @admin.display(description="body")
    def content(self, event: Any) -> SafeString | str:
        return pretty(body(event))


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """What was and is to be delivered; it can be asked for again."""

    list_display = ["created_at", "event_type", "state_chip", "answered", "charge_point", "endpoint", "next_attempt_at"]
    list_filter = ["state", EndpointOrganizationFilter, EndpointFilter, ChargePointFilter]
    list_select_related = ["event", "endpoint", "charge_point"]
    change_form_template = "admin/chargepoints/webhookdelivery/change_form.html"
    fields = [
        *("endpoint", "event", "charge_point", "state_chip", "created_at", "next_attempt_at", "gives_up_at"),
        *("ended_at", "history", "content"),
    ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.resend_view)
        own = path("<uuid:object_id>/resend/", view, name="chargepoints_webhookdelivery_resend")
        return [own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "may_resend": request.user.has_perm(MAY_RESEND)}
        return super().change_view(request, object_id, form_url, context)

    def resend_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        delivery = self.get_object(request, str(object_id))
        if delivery is None:
            raise Http404
        if not request.user.has_perm(MAY_RESEND):
            raise PermissionDenied
        if request.method != "POST":
            explanation = "It is delivered as if it had never been tried. Receivers know the event by its id."
            return ask(request, delivery, title=f"Deliver {delivery} again?", submit="Resend", explanation=explanation)
        WebhookDelivery.objects.filter(pk=delivery.pk).resend()
        self.log_change(request, delivery, "Resent.")
        messages.success(request, "It is pending again.")
        return HttpResponseRedirect(reverse("admin:chargepoints_webhookdelivery_change", args=[delivery.pk]))

    @admin.display(description="event")
    def event_type(self, delivery: Any) -> str:
        return delivery.event.type

    @admin.display(description="state")
    def state_chip(self, delivery: Any) -> SafeString:
        return chip(delivery.state, delivery.get_state_display().lower())

    @admin.display(description="answered")
    def answered(self, delivery: Any) -> str:
        return said(delivery.attempts[-1]) if delivery.attempts else "-"

    @admin.display(description="attempts")
    def history(self, delivery: Any) -> SafeString | str:
        rows = ((each["started_at"], said(each), each["duration_ms"], each["answer"]) for each in delivery.attempts)
        return format_html_join("", '<pre class="frame">{} {} ({} ms)\n{}</pre>', rows) or "-"

    @admin.display(description="body")
    def content(self, delivery: Any) -> SafeString | str:
        return pretty(body(delivery.event))


def said(attempt: dict[str, Any]) -> str:
    """The status of an attempt, or why there is none."""
    return str(attempt["status_code"] or attempt["error"])
