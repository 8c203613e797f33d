from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apikeys.admin.display import chip, pretty
from apikeys.admin.tenancy import OrganizationFilter, ReadOnlyAdmin
from chargepoints.admin.filters import ListedFilter, OneOfFilter
from ocpp16.models import BulkCommand, BulkTarget, Command


@admin.register(BulkCommand)
class BulkCommandAdmin(ReadOnlyAdmin):
    actions = ["stop"]
    list_display = ["created_at", "action", "state_chip", "total", "reason", "organization", "api_key"]
    list_filter = ["state", OrganizationFilter]
    list_select_related = ["organization", "api_key"]
    fields = [
        *("id", "organization", "action", "content", "at_once", "canary", "stop_on_failure_rate"),
        *("state_chip", "reason", "progress", "results", "created_at", "ended_at", "api_key", "request_id"),
    ]

    def has_stop_permission(self, request: HttpRequest) -> bool:
        """Who may send a command may stop one."""
        return request.user.has_perm("chargepoints.change_chargepoint")

    @admin.action(description="Stop: go to no further charge point", permissions=["stop"])
    def stop(self, request: HttpRequest, bulk_commands: QuerySet[BulkCommand]) -> None:
        stopped = sum(bulk.stop(f"It was stopped by {request.user}.") for bulk in bulk_commands)
        messages.success(request, f"{stopped} stopped.")

    @admin.display(description="state")
    def state_chip(self, bulk: Any) -> SafeString:
        return chip(bulk.state, bulk.get_state_display().lower())

    @admin.display(description="payload")
    def content(self, bulk: Any) -> SafeString | str:
        return pretty(bulk.payload)

    @admin.display(description="charge points")
    def progress(self, bulk: Any) -> str:
        return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(bulk.counts().items()))

    @admin.display(description="results")
    def results(self, bulk: Any) -> SafeString:
        log = reverse("admin:ocpp16_bulktarget_changelist")
        return format_html('<a href="{}?bulk={}">One by one</a>', log, bulk.pk)


class ResultFilter(ListedFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state.replace("_", " ")) for state in (*BulkTarget.OPEN, *Command.State.values)]


class BulkCommandFilter(OneOfFilter):
    title = "bulk command"
    parameter_name = "bulk"
    model = BulkCommand

    def _pk(self, text: str) -> Any:
        with suppress(ValueError):
            return uuid.UUID(text)
        return None


@admin.register(BulkTarget)
class BulkTargetAdmin(ReadOnlyAdmin):
    """The results of one bulk command, to which its page leads."""

    list_display = ["charge_point", "state_chip", "answered", "command_link"]
    list_filter = [ResultFilter, BulkCommandFilter]
    list_select_related = ["charge_point", "command"]
    fields = ["bulk", "charge_point", "state_chip", "answered", "command_link"]
    ordering = ["bulk", "position"]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.display(description="state")
    def state_chip(self, target: Any) -> SafeString:
        return chip(target.state, target.state.replace("_", " "))

    @admin.display(description="answered")
    def answered(self, target: Any) -> str:
        return target.command.status or target.command.error_code or "-" if target.command else "-"

    @admin.display(description="command")
    def command_link(self, target: Any) -> SafeString | str:
        if target.command is None:
            return "-"
        page = reverse("admin:ocpp16_command_change", args=[target.command.pk])
        return format_html('<a href="{}">{}</a>', page, target.command.pk)
