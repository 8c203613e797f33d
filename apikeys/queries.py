"""Query strings, read as strictly as bodies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.views import APIView

NAME_LENGTH = 100


class StrictQueryView(APIView):
    """A view that refuses parameters which it does not know, which are given twice, or which hold nothing."""

    request: Any
    # What the query of a read may say.
    query_serializer_class: type[serializers.Serializer[Any]] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request)
        known = set(self.parameters()) if request.method in SAFE_METHODS else set()
        problems = {shown(name): problem_of(values) for name, values in request.query_params.lists()}
        problems |= {shown(name): "Unknown parameter." for name in request.query_params if name not in known}
        details = {name: [problem] for name, problem in problems.items() if problem}
        if details:
            raise serializers.ValidationError(details)

    def parameters(self) -> Iterator[str]:
        """The names that the query may have."""
        if self.query_serializer_class is not None:
            yield from self.query_serializer_class._declared_fields

    def asked(self) -> dict[str, Any]:
        """What the query says, or 400."""
        assert self.query_serializer_class is not None
        query = self.query_serializer_class(data=self.request.query_params.dict())
        query.is_valid(raise_exception=True)
        return query.validated_data


def shown(name: str) -> str:
    """The name of a parameter as an answer can hold it."""
    return name[:NAME_LENGTH].replace("\x00", "\ufffd") or '""'


def problem_of(values: list[str]) -> str:
    if len(values) > 1:
        return "Must be given once."
    return "" if values[0] else "Must not be empty."


def page_of(name: str, rows: QuerySet[Any], query: dict[str, Any]) -> dict[str, Any]:
    """A page of a list as every list says it."""
    page, per_page = query["page"], query["per_page"]
    start = (page - 1) * per_page
    total = rows.count()
    return {
        name: rows[start : start + per_page] if start < total else [],
        "total": total,
        "page": page,
        "per_page": per_page,
    }
