from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.safestring import SafeString

from apikeys.actions import COMMAND_ACTIONS
from apikeys.clock import now
from apikeys.limits import validate_addresses, validate_charge_points
from apikeys.models import AlreadyRevoked, ApiKey
from apikeys.scopes import SCOPES

from . import once
from .asking import ask
from .display import chip
from .tenancy import OrganizationFilter, TenantAdmin


class Lines(forms.Field):
    """A list, an item on each line; none of them is None."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 50})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str] | None:
        return [line.strip() for line in (value or "").splitlines() if line.strip()] or None


class ApiKeyForm(ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="What the key may do. No scope implies another.",
    )
    allowed_commands = forms.MultipleChoiceField(
        choices=[(action, action) for action in COMMAND_ACTIONS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="The commands that it may send, with the scope to write; none chosen: all.",
    )
    allowed_charge_points = Lines(
        required=False,
        validators=[validate_charge_points],
        help_text="The ids of the charge points that it reaches, one a line; none: all of the organization.",
    )
    allowed_addresses = Lines(
        required=False,
        validators=[validate_addresses],
        help_text="The addresses or networks that it may be used from, one a line; none: everywhere.",
    )

    def clean_scopes(self) -> list[str]:
        return list(self.cleaned_data["scopes"])

    def clean_allowed_commands(self) -> list[str] | None:
        return list(self.cleaned_data["allowed_commands"]) or None

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if "expires_at" in self.changed_data and expires_at is not None and expires_at <= now():
            raise forms.ValidationError("The expiry must be in the future.")
        return expires_at


class NewApiKeyForm(ApiKeyForm):
    once = forms.CharField(widget=forms.HiddenInput, initial=once.new_mark, required=False)


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("usable", "usable"), ("revoked", "revoked"), ("expired", "expired")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        match self.value():
            case "usable":
                return queryset.usable()
            case "revoked":
                return queryset.exclude(revoked_at=None)
            case "expired":
                return queryset.filter(expires_at__lte=now(), revoked_at=None)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(TenantAdmin):
    """Keys are revoked, not deleted: the command log says whose command it was."""

    form = ApiKeyForm
    list_display = [
        *("name", "organization", "state_chip", "prefix", "scope_list", "limit_list", "expires_at", "last_used_at"),
    ]
    list_filter = [StateFilter, "is_test", OrganizationFilter]
    list_select_related = ["organization"]
    search_fields = ["name", "prefix"]
    change_form_template = "admin/apikeys/apikey/change_form.html"
    EDITABLE = ("organization", "name", "is_test", "scopes", "expires_at", *ApiKey.LIMITS)
    MAKING = ("created_at", "created_by", "made_by")
    HISTORY = ("state_chip", "prefix", *MAKING, "last_used_at", "rotated_at", "revoked_at")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs.setdefault("form", self.form if obj else NewApiKeyForm)
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*self.EDITABLE, *(self.HISTORY if obj else (once.FIELD,))]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("organization", "is_test", *self.HISTORY) if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.revoked_at is None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/revoke/", view(self.revoke_view), name="apikeys_apikey_revoke"),
            path("<path:object_id>/rotate/", view(self.rotate_view), name="apikeys_apikey_rotate"),
            *super().get_urls(),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, reverse("admin:apikeys_apikey_changelist"))
        context = {**(extra_context or {}), "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, context)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            return super().save_model(request, obj, form, change)
        values = (obj.organization, obj.name, obj.scopes, obj.expires_at, request.user)
        row, obj.secret = ApiKey.objects.issue(*values, obj.is_test, **obj.limits)
        obj.pk, obj.prefix = row.pk, row.prefix
        return None

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show(request, obj, obj.secret)

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        api_key = self._active_key(request, object_id)
        if request.method != "POST":
            return self._confirm(request, api_key, "Revoke")
        if api_key.revoke():
            self.log_change(request, api_key, "Revoked.")
            messages.success(request, f"The key {api_key} is revoked. Requests with it are refused from now on.")
        return HttpResponseRedirect(self._page_of(api_key))

    def rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, reverse("admin:apikeys_apikey_changelist"))
        api_key = self._active_key(request, object_id)
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._confirm(request, api_key, "Rotate")
        if api_key.state != "active":
            messages.error(request, f"The key {api_key} is {api_key.state}: only an active key can be rotated.")
            return HttpResponseRedirect(self._page_of(api_key))
        try:
            successor, secret = api_key.rotate(request.user)
        except AlreadyRevoked as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self._page_of(api_key))
        self.log_change(request, api_key, f"Rotated into {successor}.")
        self.log_addition(request, successor, f"Rotated from {api_key}.")
        return self._show(request, successor, secret)

    def _active_key(self, request: HttpRequest, object_id: str) -> Any:
        """A key of the user's organizations, or 404; PermissionDenied where they may only look."""
        api_key = self.get_object(request, object_id)
        if api_key is None:
            raise Http404
        if not super().has_change_permission(request, api_key):
            raise PermissionDenied
        return api_key

    def _confirm(self, request: HttpRequest, api_key: Any, verb: str) -> HttpResponse:
        explanation = "Requests with this key are refused within a second."
        if verb == "Rotate":
            explanation += " A new key with the same name, rights and expiry takes its place; it is shown once."
        title, mark = f"{verb} {api_key}?", once.new_mark()
        return ask(request, api_key, title=title, submit=f"{verb} the key", explanation=explanation, mark=mark)

    def _show(self, request: HttpRequest, api_key: Any, secret: str) -> HttpResponse:
        return once.show_once(
            request,
            {**self.admin_site.each_context(request), "opts": self.opts, "original": api_key},
            title=f"Key {api_key.name}",
            label="API key",
            secret=secret,
            back=self._page_of(api_key),
            Organization=str(api_key.organization),
            Scopes=", ".join(api_key.scopes) or "none",
        )

    def _page_of(self, api_key: Any) -> str:
        return reverse("admin:apikeys_apikey_change", args=[api_key.pk])

    @admin.display(description="state")
    def state_chip(self, api_key: Any) -> SafeString:
        return chip(api_key.state)

    @admin.display(description="scopes")
    def scope_list(self, api_key: Any) -> str:
        return ", ".join(api_key.scopes) or "none"

    @admin.display(description="limits")
    def limit_list(self, api_key: Any) -> str:
        lists = {
            "commands": api_key.allowed_commands,
            "charge points": api_key.allowed_charge_points,
            "addresses": api_key.allowed_addresses,
        }
        told = [f"{name}: {len(items)}" for name, items in lists.items() if items is not None]
        if api_key.requests_per_minute is not None:
            told.append(f"rate: {api_key.requests_per_minute} a minute")
        return ", ".join(told) or "none"
