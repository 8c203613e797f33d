"""Every HTTP route of the product."""

from django.contrib import admin
from django.urls import path, re_path
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

import apikeys.schema  # noqa: F401  tells the schema of the two key headers
from chargepoints.views import ActiveTransactionsView, ChargePointStatusView
from ocpp16.commands import COMMANDS
from ocpp16.views import CommandView

from . import errors, health, metrics
from .doctor import proxy

commands = [
    path(f"api/v1/ocpp16/{name}", CommandView.as_view(endpoint=endpoint), name=name)
    for name, endpoint in COMMANDS.items()
]

# What every process answers that listens at all.
probes = (
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
)

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    *probes,
    path("doctor", proxy.seen, name="doctor"),
    path("admin/", admin.site.urls),
    *commands,
    path(
        "api/v1/ocpp16/active_transactions/<str:charge_point_id>",
        ActiveTransactionsView.as_view(),
        name="active_transactions",
    ),
    path("api/v1/ocpp16/charge_points/status", ChargePointStatusView.as_view(), name="charge_points_status"),
    path("api/schema", SpectacularAPIView.as_view(renderer_classes=[OpenApiJsonRenderer2]), name="schema"),
    path(
        "api/docs",
        SpectacularSwaggerSplitView.as_view(template_name="docs.html", permission_classes=[]),
        name="docs",
    ),
    re_path(r"^api(?:/|\Z)", errors.UnknownAddress.as_view()),
]

handler400 = "dynamo.errors.bad_request"
handler500 = "dynamo.errors.server_error"
