from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as StockGroupAdmin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from apikeys.models import Membership, Organization

from .tenancy import TenantAdmin, TenantInline


class SuperusersOnly:
    """Who may do what is decided by superusers: staff who could edit users could make themselves one."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


class MembershipInline(SuperusersOnly, TenantInline):
    model = Membership
    autocomplete_fields = ["user", "organization"]


admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(SuperusersOnly, StockUserAdmin):
    inlines = [MembershipInline]
    list_display = ["username", "email", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_staff", "is_superuser", "is_active"]

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> Any:
        # The first page of a new user asks for name and password only.
        return [] if obj is None else super().get_inlines(request, obj)


@admin.register(Group)
class GroupAdmin(SuperusersOnly, StockGroupAdmin):
    pass


@admin.register(Organization)
class OrganizationAdmin(TenantAdmin):
    """Only superusers make and end organizations; their staff may set how charge points are treated."""

    list_display = ["name", "is_active", "charge_points", "accept_unknown_id_tags", "heartbeat_interval"]
    list_filter = ["is_active"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name", "is_active", "accept_unknown_id_tags", "heartbeat_interval", "created_at"]
    inlines = [MembershipInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(charge_point_count=Count("charge_points"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["created_at"] if request.user.is_superuser else ["name", "is_active", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_delete_permission(request, obj)

    def obstacle(self, obj: Any) -> str:
        """Its sessions would go too, and those are somebody's bills."""
        return "it has charge points" if obj.charge_points.exists() else ""

    @admin.display(description="charge points")
    def charge_points(self, organization: Any) -> int:
        return organization.charge_point_count
