"""Every HTTP route of the product."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer2
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

import apikeys.schema  # noqa: F401  tells the schema of the two key headers
from apikeys.views import ApiKeysView, ApiKeyView, MeView, RevokeView, RotateView
from chargepoints.api import charge_points, fleet, id_tags, logs, meter_values, records, sessions
from chargepoints.feed import EventFeedView
from chargepoints.views import ActiveTransactionsView, ChargePointStatusView
from chargepoints.webhooks.actions import ACTIONS, EndpointActionView
from chargepoints.webhooks.delivery_views import DeliveriesView, DeliveryView, ResendSinceView, ResendView
from chargepoints.webhooks.views import EndpointsView, EndpointView
from ocpp16 import bulk_views
from ocpp16.commands import COMMANDS
from ocpp16.message_log import MessagesView
from ocpp16.order_views import OrderView
from ocpp16.orders import ORDERS
from ocpp16.resources import CommandCancellationView, CommandResourceView, CommandsView
from ocpp16.simulation_views import SimulationsView, SimulationView
from ocpp16.views import CommandView

from . import errors, health, metrics
from .doctor import proxy

commands = [
    path(f"api/v1/ocpp16/{name}", CommandView.as_view(endpoint=endpoint), name=name)
    for name, endpoint in COMMANDS.items()
]

orders = [
    path(f"api/v1/simulator/{name}", OrderView.as_view(endpoint=endpoint), name=name)
    for name, endpoint in ORDERS.items()
]

simulations = [
    path("api/v1/simulator/charge-points", SimulationsView.as_view(), name="simulations"),
    path("api/v1/simulator/charge-points/<str:charge_point_id>", SimulationView.as_view(), name="simulation"),
]

# Nouns in the plural, with hyphens, as web addresses have them; below ocpp16/ stand the words of the reference.
resources = [
    path("charge-points", charge_points.ChargePointsView.as_view(), name="charge_points"),
    path("charge-points/<str:charge_point_id>", charge_points.ChargePointView.as_view(), name="charge_point"),
    path("charge-points/<str:charge_point_id>/connectors", charge_points.ConnectorsView.as_view(), name="connectors"),
    path(
        "charge-points/<str:charge_point_id>/configuration", records.ConfigurationView.as_view(), name="configuration"
    ),
    path("charge-points/<str:charge_point_id>/messages", MessagesView.as_view(), name="messages"),
    path("charge-points/<str:charge_point_id>/status-history", logs.StatusHistoryView.as_view(), name="status_history"),
    path(
        "charge-points/<str:charge_point_id>/security-events", logs.SecurityEventsView.as_view(), name="security_events"
    ),
    path("charge-points/<str:charge_point_id>/password", charge_points.PasswordView.as_view(), name="password"),
    path("sessions", sessions.SessionsView.as_view(), name="sessions"),
    path("sessions.csv", sessions.SessionsFileView.as_view(), name="sessions_file"),
    path("sessions/<int:transaction_id>", sessions.SessionView.as_view(), name="session"),
    path("sessions/<int:transaction_id>/meter-values", meter_values.MeterValuesView.as_view(), name="meter_values"),
    path(
        "sessions/<int:transaction_id>/meter-values.csv",
        meter_values.MeterValuesFileView.as_view(),
        name="meter_values_file",
    ),
    path("cpo/fleet/summary", fleet.FleetSummaryView.as_view(), name="fleet_summary"),
    path("reservations", records.ReservationsView.as_view(), name="reservations"),
    path("charging-profiles", records.ChargingProfilesView.as_view(), name="charging_profiles"),
    path("id-tags", id_tags.IdTagsView.as_view(), name="id_tags"),
    # A tag of this name is read as BULK: tags are compared without case.
    path("id-tags/bulk", id_tags.IdTagsBulkView.as_view(), name="id_tags_bulk"),
    path("id-tags/<path:id_tag>", id_tags.IdTagView.as_view(), name="id_tag"),
]

resources += [
    path("commands", CommandsView.as_view(), name="commands"),
    path("commands/bulk", bulk_views.BulkCommandsView.as_view(), name="bulk_commands"),
    path("commands/bulk/<uuid:pk>", bulk_views.BulkCommandView.as_view(), name="bulk_command"),
    path("commands/bulk/<uuid:pk>/stop", bulk_views.BulkCommandStopView.as_view(), name="stop_bulk_command"),
    path("commands/bulk/<uuid:pk>/results", bulk_views.BulkResultsView.as_view(), name="bulk_results"),
    path("commands/<uuid:pk>", CommandResourceView.as_view(), name="command"),
    path("commands/<uuid:pk>/cancel", CommandCancellationView.as_view(), name="cancel_command"),
]

endpoints = "api/v1/webhooks/endpoints"
endpoint = f"{endpoints}/<uuid:endpoint_id>"
deliveries = f"{endpoint}/deliveries"
webhooks = [
    path(endpoints, EndpointsView.as_view(), name="webhook_endpoints"),
    path(endpoint, EndpointView.as_view(), name="webhook_endpoint"),
    *(
        path(f"{endpoint}/{name}", EndpointActionView.as_view(action=action), name=f"webhook_{name}")
        for name, action in ACTIONS.items()
    ),
    path(f"{endpoint}/resend", ResendSinceView.as_view(), name="webhook_resend_since"),
    path(deliveries, DeliveriesView.as_view(), name="webhook_deliveries"),
    path(f"{deliveries}/<uuid:delivery_id>", DeliveryView.as_view(), name="webhook_delivery"),
    path(f"{deliveries}/<uuid:delivery_id>/resend", ResendView.as_view(), name="webhook_resend"),
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
    *orders,
    *simulations,
    path(
        "api/v1/ocpp16/active_transactions/<str:charge_point_id>",
        ActiveTransactionsView.as_view(),
        name="active_transactions",
    ),
    path("api/v1/ocpp16/charge_points/status", ChargePointStatusView.as_view(), name="charge_points_status"),
    path("api/v1/", include(resources)),
    path("api/v1/me", MeView.as_view(), name="me"),
    path("api/v1/org/api-keys", ApiKeysView.as_view(), name="api_keys"),
    path("api/v1/org/api-keys/<int:pk>", ApiKeyView.as_view(), name="api_key"),
    path("api/v1/org/api-keys/<int:pk>/revoke", RevokeView.as_view(), name="revoke_api_key"),
    path("api/v1/org/api-keys/<int:pk>/rotate", RotateView.as_view(), name="rotate_api_key"),
    *webhooks,
    path("api/v1/events", EventFeedView.as_view(), name="events"),
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
