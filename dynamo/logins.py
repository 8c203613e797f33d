"""What becomes of those who fail to log in to the admin too often: django-axes counts, this tells."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apikeys.clock import now
from ocpp16.failures import counted_address

from .metrics import lockouts
from .proxies import address_in

TITLE = "Too many failed logins"


class FailedLogins(AxesDatabaseHandler):
    """The counting of django-axes, by the clock that all processes share."""

    def is_allowed(self, request: Any, credentials: Any = None) -> bool:
        request.axes_attempt_time = now()
        return super().is_allowed(request, credentials)

    def post_save_access_attempt(self, instance: AccessAttempt, **kwargs: Any) -> None:
        if kwargs["created"]:  # Django dated it by the clock of this machine
            AccessAttempt.objects.filter(pk=instance.pk).update(attempt_time=now())


def client_address(request: HttpRequest) -> str | None:
    """Where somebody logs in from, as failures are counted."""
    address = address_in(request.META.get("REMOTE_ADDR", ""))
    return None if address is None else counted_address(str(address))


def locked_out(request: Any, *_: Any) -> HttpResponse:
    """The page of AXES_LOCKOUT_CALLABLE: 429, and when to try again."""
    lockouts.inc()
    seconds = seconds_left(request)
    context = {**admin.site.each_context(request), "title": TITLE, "minutes": math.ceil(seconds / 60)}
    response = TemplateResponse(request, "admin/locked_out.html", context, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response.render()


def seconds_left(request: Any) -> int:
    """Until the newest failure of this name from this address is forgiven."""
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    credentials = request.axes_credentials or {}
    failed = AccessAttempt.objects.filter(username=credentials.get("username"), ip_address=request.axes_ip_address)
    newest = failed.order_by("-attempt_time").values_list("attempt_time", flat=True).first() or now()
    return max(1, math.ceil((newest + cool_off - now()).total_seconds()))
