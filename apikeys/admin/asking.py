from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse


def ask(request: HttpRequest, original: Any, *, title: str, submit: str, **context: Any) -> TemplateResponse:
    """The page before something is done to a row: asks what the `form` asks, or only whether to go on."""
    page = {"title": title, "submit": submit, "opts": original._meta, "original": original}
    return TemplateResponse(request, "admin/ask.html", {**admin.site.each_context(request), **page, **context})
