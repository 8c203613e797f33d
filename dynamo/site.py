from __future__ import annotations

from typing import Any

from django.contrib.admin.apps import AdminConfig
from django.contrib.admin.sites import AdminSite
from django.http import HttpRequest

# The order in which people look for things; what is not listed comes last, by name.
APPS = ("chargepoints", "ocpp16", "apikeys", "auth", "axes")
MODELS = (
    *("ChargePoint", "Transaction", "IdTag", "Reservation", "ChargingProfile", "MeterValue", "OrphanStop"),
    *("ConnectorStatus", "Notification", "SecurityEvent"),
    *("Command", "Message", "RefusedConnection"),
    *("Organization", "ApiKey", "User", "Group"),
)


def place(name: str, order: tuple[str, ...]) -> int:
    return order.index(name) if name in order else len(order)


class DynamoSite(AdminSite):
    """The stock admin under our name, with its models in the order of daily work."""

    site_header = site_title = "Dynamo"
    index_title = "Operations"
    site_url = None

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps: list[Any] = super().get_app_list(request, app_label)
        for app in apps:
            app["models"].sort(key=lambda model: (place(model["object_name"], MODELS), model["name"]))
        return sorted(apps, key=lambda app: (place(app["app_label"], APPS), app["name"]))


class DynamoAdminConfig(AdminConfig):
    default = False
    default_site = "dynamo.site.DynamoSite"
