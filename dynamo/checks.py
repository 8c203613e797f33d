"""System checks: combinations of settings that would fail silently."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register


@register(Tags.compatibility)
def channel_layer_spans_processes(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """PostgreSQL is there for several processes; the in-memory layer reaches only its own."""
    services = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    in_memory = settings.CHANNEL_LAYERS["default"]["BACKEND"].endswith("InMemoryChannelLayer")
    if services and in_memory:
        hint = "A second process will be refused until REDIS_URL is set for both."
        return [checks.Warning("Commands reach only charge points of the same process.", hint=hint, id="dynamo.W001")]
    return []


@register(Tags.security, deploy=True)
def debug_is_off(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.DEBUG:
        return [checks.Error("DYNAMO_DEBUG is on: error pages show secrets.", id="dynamo.E001")]
    return []
