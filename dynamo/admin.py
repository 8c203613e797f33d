from __future__ import annotations

from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apikeys.admin.display import chip
from apikeys.admin.tenancy import ReadOnlyAdmin


@admin.register(AccessAttempt)
class FailedLoginAdmin(ReadOnlyAdmin):
    """Who failed to log in, for superusers: names and addresses belong to no organization. To delete is to forgive."""

    list_display = ["attempt_time", "username", "ip_address", "failures_since_start", "state", "user_agent"]
    search_fields = ["username", "ip_address"]
    search_help_text = "User name or address"
    ordering = ["-attempt_time"]
    fields = ["username", "ip_address", "user_agent", "path_info", "failures_since_start", "attempt_time", "state"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    @admin.display(description="state")
    def state(self, attempt: Any) -> SafeString:
        is_locked_out = attempt.failures_since_start >= settings.AXES_FAILURE_LIMIT
        return chip("Blocked" if is_locked_out else "", "locked out" if is_locked_out else "may try again")
