"""Secrets that are shown once: in the answer to the form that made them, and nowhere else."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_variables

FIELD = "once"
REMEMBERED = 50


def new_mark() -> str:
    """A value for the form's hidden field by which a repeated submission is recognized."""
    return secrets.token_urlsafe(12)


def is_repeated(request: HttpRequest) -> bool:
    """Whether this form was submitted before: a reload of the page that showed the secret."""
    mark = request.POST.get(FIELD, "")
    return not mark or mark in request.session.get("spent_marks", [])


def spend(request: HttpRequest) -> None:
    """Let this form never make a secret again."""
    spent = request.session.get("spent_marks", [])
    request.session["spent_marks"] = [*spent, request.POST.get(FIELD, "")][-REMEMBERED:]


@sensitive_variables("secret")
def show_once(
    request: HttpRequest,
    context: dict[str, Any],
    *,
    title: str,
    label: str,
    secret: str,
    back: str,
    kept: str = "only a digest of it is kept",
    **details: str,
) -> HttpResponse:
    """The page of a secret. It is part of this answer only: neither stored, nor in a URL, a cookie or a log."""
    spend(request)
    context = {
        **context,
        "title": title,
        "label": label,
        "secret": secret,
        "back": back,
        "details": details,
        "kept": kept,
    }
    response = TemplateResponse(request, "admin/secret.html", context)
    response.headers["Cache-Control"] = "no-store"
    return response


def refuse_repeat(request: HttpRequest, back: str) -> HttpResponse:
    """The answer to a reload: the secret is gone, and no second one is made."""
    messages.warning(request, "The secret was shown once and cannot be shown again. Make a new one if it is lost.")
    return HttpResponseRedirect(back)
