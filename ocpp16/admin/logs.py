from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apikeys.admin.display import chip, pretty, pretty_frame
from apikeys.admin.tenancy import ChargePointOrganizationFilter
from chargepoints.admin.filters import ChargePointFilter, ListedFilter
from chargepoints.admin.records import ChargePointLogAdmin
from ocpp16.models import Command, Message
from ocpp16.models.command_queryset import KEPT
from ocpp16.payloads import CHARGE_POINT_ACTIONS, COMMAND_ACTIONS

from .send import send_view


class ActionFilter(ListedFilter):
    """A fixed list: to collect the values from a table of millions would take seconds."""

    title = parameter_name = "action"
    actions: tuple[str, ...] = tuple(sorted({*COMMAND_ACTIONS, *CHARGE_POINT_ACTIONS}))

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action, action) for action in self.actions]


class TimeFilter(admin.DateFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "time"


class CommandActionFilter(ActionFilter):
    actions = tuple(COMMAND_ACTIONS)


class KeptFilter(admin.SimpleListFilter):
    title = parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "for its charge point to be online")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(KEPT) if self.value() == "1" else queryset


@admin.register(Command)
class CommandAdmin(ChargePointLogAdmin):
    actions = ["cancel"]
    list_display = ["created_at", "charge_point", "action", "state_chip", "status", "sender", "response_time"]
    list_filter = [
        "state",
        KeptFilter,
        "created_at",
        ChargePointOrganizationFilter,
        ChargePointFilter,
        CommandActionFilter,
    ]
    list_select_related = ["charge_point", "user", "api_key"]
    fieldsets = [
        (None, {"fields": ["id", "charge_point", "action", "content", "transaction", "frames"]}),
        ("Sender", {"fields": ["user", "api_key", "request_id"]}),
        (
            "Course",
            {"fields": ["state_chip", "created_at", "expires_at", "sent_at", "ended_at", "response_time", "late"]},
        ),
        ("Answer", {"fields": ["answer", "error_code", "reason", "details"]}),
    ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(send_view)
        own = path("send/<int:charge_point_id>/<slug:kind>/", view, name="ocpp16_command_send")
        return [own, *super().get_urls()]

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Who may send a command may call it back."""
        return request.user.has_perm("chargepoints.change_chargepoint")

    @admin.action(description="Cancel those that wait for their charge points", permissions=["cancel"])
    def cancel(self, request: HttpRequest, commands: QuerySet[Command]) -> None:
        cancelled = sum(command.cancel() for command in commands)
        others = commands.count() - cancelled
        messages.add_message(
            request,
            messages.WARNING if others else messages.SUCCESS,
            f"{cancelled} cancelled." + (f" {others} did not wait any more, or never did." if others else ""),
        )

    @admin.display(description="state")
    def state_chip(self, command: Any) -> SafeString:
        return chip(command.state, command.get_state_display().lower())

    @admin.display(description="answered")
    def status(self, command: Any) -> str:
        return command.status or command.error_code or "-"

    @admin.display(description="sent by")
    def sender(self, command: Any) -> str:
        return str(command.user or (command.api_key.name if command.api_key else "-"))

    @admin.display(description="response time")
    def response_time(self, command: Any) -> str:
        return "-" if command.response_time_ms is None else f"{command.response_time_ms} ms"

    @admin.display(description="in time")
    def late(self, command: Any) -> str:
        if command.is_late:
            return "No: the answer came after the caller had been told of a timeout."
        return "Yes" if command.response is not None or command.error_code else "-"

    @admin.display(description="reason")
    def reason(self, command: Any) -> str:
        return command.error_description or "-"

    @admin.display(description="payload")
    def content(self, command: Any) -> SafeString | str:
        return pretty(command.payload)

    @admin.display(description="response")
    def answer(self, command: Any) -> SafeString | str:
        return pretty(command.response)

    @admin.display(description="error details")
    def details(self, command: Any) -> SafeString | str:
        return pretty(command.error_details)

    @admin.display(description="frames")
    def frames(self, command: Any) -> SafeString:
        log = reverse("admin:ocpp16_message_changelist")
        query = f"?charge_point={command.charge_point_id}&message_id={command.pk}"
        return format_html('<a href="{}{}">In the message log</a>', log, query)


@admin.register(Message)
class MessageAdmin(ChargePointLogAdmin):
    list_display = ["at", "charge_point", "way", "kind", "action", "start"]
    list_filter = [
        "direction",
        "kind",
        ("at", TimeFilter),
        ChargePointOrganizationFilter,
        ChargePointFilter,
        ActionFilter,
    ]
    fields = ["charge_point", "at", "direction", "kind", "action", "message_id", "content"]
    START = 100

    @admin.display(description="direction", ordering="direction")
    def way(self, message: Any) -> str:
        return "received" if message.direction == Message.Direction.RECEIVED else "sent"

    @admin.display(description="frame")
    def start(self, message: Any) -> SafeString:
        text = message.frame.replace(f'"{message.message_id}",', "", 1)
        shown = text if len(text) <= self.START else f"{text[: self.START]}…"
        return format_html('<code class="line">{}</code>', shown)

    @admin.display(description="frame")
    def content(self, message: Any) -> SafeString | str:
        return pretty_frame(message.frame)
