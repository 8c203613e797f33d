"""System checks: combinations of settings that would fail silently."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connection

from .reachability import is_layer_in_memory


@register(Tags.compatibility)
def channel_layer_spans_processes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """PostgreSQL is there for several processes; the in-memory layer reaches only its own."""
    if connection.vendor == "postgresql" and is_layer_in_memory():
        hint = "A second process will be refused until REDIS_URL is set for both."
        return [checks.Warning("Commands reach only charge points of the same process.", hint=hint, id="dynamo.W001")]
    return []


@register(Tags.security, deploy=True)
def hosts_are_named(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Set DYNAMO_ALLOWED_HOSTS to the names by which the server is asked."
        return [checks.Warning("Any host name is answered to.", hint=hint, id="dynamo.W002")]
    return []


@register(Tags.security, deploy=True)
def services_are_there(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if connection.vendor == "sqlite":
        hint = "Set DATABASE_URL and REDIS_URL to start a second process, and so to upgrade without a break."
        return [checks.Info("SQLite serves one process.", hint=hint, id="dynamo.I001")]
    return []
