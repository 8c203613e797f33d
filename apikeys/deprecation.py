"""How a view says that it will go: in the headers of its answers, and in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.http import http_date
from drf_spectacular.utils import extend_schema


@dataclass(frozen=True)
class Deprecation:
    """Since when a view is not to be used any more, from when it may be gone, and where that is explained."""

    since: datetime
    sunset: datetime | None = None
    link: str = ""

    def headers(self) -> dict[str, str]:
        """RFC 9745 and RFC 8594."""
        headers = {"Deprecation": f"@{int(self.since.timestamp())}"}
        if self.sunset is not None:
            headers["Sunset"] = http_date(self.sunset.timestamp())
        if self.link:
            headers["Link"] = f'<{self.link}>; rel="deprecation"; type="text/html"'
        return headers


def deprecated(since: datetime, sunset: datetime | None = None, link: str = "") -> Callable[[type], type]:
    """Mark a view of the API: `@deprecated(since=..., sunset=...)`."""

    def mark(view_class: Any) -> type:
        view_class.deprecation = Deprecation(since, sunset, link)
        return extend_schema(deprecated=True)(view_class)

    return mark


def deprecation_of(request: Any) -> Deprecation | None:
    """That of the view which a request found."""
    view = getattr(request.resolver_match, "func", None)
    return getattr(getattr(view, "cls", None), "deprecation", None)
