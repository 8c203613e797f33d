from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apikeys.admin import once
from apikeys.admin.asking import ask
from apikeys.admin.display import chip
from apikeys.admin.tenancy import OrganizationFilter, TenantAdmin
from chargepoints.models import WebhookDelivery, WebhookEndpoint
from chargepoints.models.webhook_endpoint import ALL, MAXIMUM_ENDPOINTS, SUBSCRIBABLE, TooManyEndpoints


class EndpointForm(ModelForm):
    events = forms.MultipleChoiceField(
        choices=[(kind, "* (all)" if kind == ALL else kind) for kind in SUBSCRIBABLE],
        widget=forms.CheckboxSelectMultiple,
        initial=[ALL],
        help_text="What the endpoint is told of.",
    )

    def clean_events(self) -> list[str]:
        return list(self.cleaned_data["events"])


class NewEndpointForm(EndpointForm):
    once = forms.CharField(widget=forms.HiddenInput, initial=once.new_mark, required=False)

    def clean(self) -> Any:
        cleaned = super().clean() or {}
        same = WebhookEndpoint.objects.filter(
            organization=cleaned.get("organization"), is_test=cleaned.get("is_test", False)
        )
        if same.count() >= MAXIMUM_ENDPOINTS:
            self.add_error("organization", str(TooManyEndpoints()))
        return cleaned


class SinceForm(forms.Form):
    since = forms.SplitDateTimeField(
        widget=forms.SplitDateTimeWidget(date_attrs={"type": "date"}, time_attrs={"type": "time"}),
        help_text="UTC. What was published then or later, and has ended, is delivered again.",
    )
    status = forms.ChoiceField(
        choices=[
            ("", "all"),
            *((state, label) for state, label in WebhookDelivery.State.choices if state != "pending"),
        ],
        required=False,
    )


def pause(endpoint: WebhookEndpoint, values: Any) -> str:
    return "It is paused." if endpoint.pause() else "It was paused before."


def resume(endpoint: WebhookEndpoint, values: Any) -> str:
    return "It is resumed: what was held back is delivered." if endpoint.resume() else "It was not paused."


def send_test(endpoint: WebhookEndpoint, values: Any) -> str:
    endpoint.send_test()
    return "A test is on its way: its delivery will tell what was answered."


def resend_since(endpoint: WebhookEndpoint, values: Any) -> str:
    ended = endpoint.deliveries.ended().filter(created_at__gte=values["since"])
    if values["status"]:
        ended = ended.filter(state=values["status"])
    return f"{ended.resend()} deliveries are pending again."


class Tool(NamedTuple):
    """A row of TOOLS: what is asked before something is done to an endpoint, and what does it."""

    title: str
    submit: str
    explanation: str
    do: Callable[[WebhookEndpoint, Any], str]
    form: type[forms.Form] | None = None


TOOLS = {
    "pause": Tool("Pause {}?", "Pause", "What happens is held back until the endpoint is resumed.", pause),
    "resume": Tool("Resume {}?", "Resume", "What was held back is delivered, the oldest first.", resume),
    "test": Tool("Send a test to {}?", "Send test", "It tells of nothing, and is tried once.", send_test),
    "resend": Tool(
        "Deliver again to {}", "Deliver again", "Receivers know an event by its id.", resend_since, SinceForm
    ),
}


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(TenantAdmin):
    """Endpoints: their secret is shown once, when it is made."""

    form = EndpointForm
    list_display = ["url", "organization", "state_chip", "event_list", "failing_since", "description", "history"]
    list_filter = [("paused_at", admin.EmptyFieldListFilter), "is_test", OrganizationFilter]
    list_select_related = ["organization"]
    search_fields = ["url", "description"]
    change_form_template = "admin/chargepoints/webhookendpoint/change_form.html"
    EDITABLE = ("organization", "is_test", "url", "description", "events")
    SEEN = (
        "state_chip",
        "paused_reason",
        "paused_at",
        "failing_since",
        "previous_secret_until",
        "created_at",
        "history",
    )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs.setdefault("form", self.form if obj else NewEndpointForm)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.EDITABLE, *(self.SEEN if obj else (once.FIELD,))]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("organization", "is_test", *self.SEEN) if obj else ()

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view, "chargepoints_webhookendpoint"
        tools = [
            path(f"<uuid:object_id>/{tool}/", view(partial(self.tool_view, tool=tool)), name=f"{name}_{tool}")
            for tool in TOOLS
        ]
        rotate = path("<uuid:object_id>/rotate/", view(self.rotate_view), name=f"{name}_rotate")
        return [*tools, rotate, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, reverse("admin:chargepoints_webhookendpoint_changelist"))
        context = {**(extra_context or {}), "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        values = (obj.organization, obj.url, obj.events, obj.description, obj.is_test)
        row, obj.told_secret = WebhookEndpoint.objects.register(*values)
        obj.pk = row.pk
        return None

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show(request, obj, obj.told_secret)

    def tool_view(self, request: HttpRequest, object_id: Any, tool: str) -> HttpResponse:
        row, endpoint = TOOLS[tool], self._endpoint(request, object_id)
        form = row.form(request.POST or None) if row.form else None
        if request.method != "POST" or (form is not None and not form.is_valid()):
            asked = {"title": row.title.format(endpoint), "submit": row.submit, "explanation": row.explanation}
            return ask(request, endpoint, **asked, form=form)
        messages.success(request, row.do(endpoint, form.cleaned_data if form else None))
        self.log_change(request, endpoint, f"{row.submit}.")
        return HttpResponseRedirect(self._page_of(endpoint))

    def rotate_view(self, request: HttpRequest, object_id: Any) -> HttpResponse:
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, reverse("admin:chargepoints_webhookendpoint_changelist"))
        endpoint = self._endpoint(request, object_id)
        if request.method != "POST":
            explanation = "A new secret is made and shown once. The one before it signs beside it for 24 hours."
            asked = {"title": f"Rotate the secret of {endpoint}?", "submit": "Rotate the secret"}
            return ask(request, endpoint, **asked, explanation=explanation, mark=once.new_mark())
        secret = endpoint.rotate_secret()
        self.log_change(request, endpoint, "Rotated the secret.")
        return self._show(request, endpoint, secret)

    def _endpoint(self, request: HttpRequest, object_id: Any) -> Any:
        """An endpoint of the user's organizations, or 404; PermissionDenied where they may only look."""
        endpoint = self.get_object(request, str(object_id))
        if endpoint is None:
            raise Http404
        if not self.has_change_permission(request, endpoint):
            raise PermissionDenied
        return endpoint

    def _show(self, request: HttpRequest, endpoint: Any, secret: str) -> HttpResponse:
        return once.show_once(
            request,
            {**self.admin_site.each_context(request), "opts": self.opts, "original": endpoint},
            title=f"Secret of {endpoint}",
            label="secret",
            secret=secret,
            kept="it is kept encrypted, and told to nobody",
            back=self._page_of(endpoint),
            Organization=str(endpoint.organization),
            Events=", ".join(endpoint.events),
        )

    def _page_of(self, endpoint: Any) -> str:
        return reverse("admin:chargepoints_webhookendpoint_change", args=[endpoint.pk])

    @admin.display(description="state")
    def state_chip(self, endpoint: Any) -> SafeString:
        return chip(endpoint.status)

    @admin.display(description="events")
    def event_list(self, endpoint: Any) -> str:
        return ", ".join(endpoint.events)

    @admin.display(description="deliveries")
    def history(self, endpoint: Any) -> SafeString:
        deliveries = reverse("admin:chargepoints_webhookdelivery_changelist")
        return format_html('<a href="{}?endpoint={}">One by one</a>', deliveries, endpoint.pk)
