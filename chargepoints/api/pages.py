"""How long lists are given: by page where they are looked through, by cursor where they are logs that grow."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.fields import MAXIMUM_PER_PAGE, Count, PageQuery

PER_PAGE = {"minimum": 1, "maximum": MAXIMUM_PER_PAGE, "default": 50}
TOTAL = {"type": "integer", "minimum": 0, "example": 1}
PAGE = {"type": "integer", "minimum": 1, "example": 1}
SIZE = {"type": "integer", "minimum": 1, "maximum": MAXIMUM_PER_PAGE, "example": 50}


class Pages(BasePagination):
    """Pages by number, with an exact total; one past the end is empty."""

    query: type[serializers.Serializer[Any]] = PageQuery
    properties: dict[str, Any] = {"total": TOTAL, "page": PAGE, "per_page": SIZE}
    described = {
        "page": ("Counted from 1; one past the end is empty.", {"type": "integer", "minimum": 1, "default": 1}),
        "per_page": ("Items per page.", {"type": "integer", **PER_PAGE}),
    }

    def __init__(self, name: str) -> None:
        self.name = name

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self.ask(request)
        return self.take(queryset)

    def ask(self, request: Request) -> None:
        """Read which page is wanted, or 400."""
        asked = self.query(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        self.asked = asked.validated_data

    def take(self, rows: QuerySet[Any]) -> list[Any]:
        """The rows of the page, from the nearer end: the last page costs what the first does."""
        total, per_page = rows.count(), self.asked["per_page"]
        start = (self.asked["page"] - 1) * per_page
        end = min(start + per_page, total)
        self.told = {"total": total, **self.asked}
        if start >= end:
            return []
        if start <= total - end:
            return list(rows[start:end])
        return list(rows.reverse()[total - end : total - start])[::-1]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({self.name: data, **self.told})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties = {self.name: schema, **self.properties}
        return {"type": "object", "required": list(properties), "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[Any]:
        return [
            {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
            for name, (text, schema) in self.described.items()
        ]


class FirstPages(Pages):
    """Pages by number of what may be millions of rows: they are counted, and given, no further than LIMIT."""

    LIMIT = 10_000
    properties = {**Pages.properties, "total_is_exact": {"type": "boolean", "example": True}}
    properties["total"] = {**TOTAL, "maximum": LIMIT, "description": f"Not counted beyond {LIMIT:,}."}
    BEYOND = f"Only the first {LIMIT:,} are given by page: narrow the list by its filters."

    def take(self, rows: QuerySet[Any]) -> list[Any]:
        counted, per_page = rows.order_by()[: self.LIMIT + 1].count(), self.asked["per_page"]
        start, total = (self.asked["page"] - 1) * per_page, min(counted, self.LIMIT)
        self.told = {"total": total, **self.asked, "total_is_exact": counted == total}
        if start < total:
            return list(rows[start : min(start + per_page, total)])
        if counted > total:
            raise serializers.ValidationError({"page": [self.BEYOND]})
        return []


class CursorField(serializers.Field[Any, Any, Any, Any]):
    """Where a page ended: opaque to the caller, the primary key of its last row to us."""

    default_error_messages = {"invalid": "Must be a next_cursor that an answer gave."}

    def to_internal_value(self, data: Any) -> int:
        try:
            text = base64.urlsafe_b64decode(data.encode("ascii") + b"==").decode("ascii")
        except (UnicodeError, binascii.Error):
            self.fail("invalid")
        if not re.fullmatch(r"[1-9][0-9]{0,17}", text) or write_cursor(int(text)) != data:
            self.fail("invalid")
        return int(text)


def write_cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(str(pk).encode()).decode().rstrip("=")


class CursorQuery(serializers.Serializer[Any]):
    cursor = CursorField(required=False)
    per_page = Count(min_value=1, max_value=MAXIMUM_PER_PAGE, default=50)


class Cursor(Pages):
    """A log, newest first; `next_cursor` leads on, whatever is added meanwhile, and is null at the end."""

    query = CursorQuery
    properties = {"per_page": SIZE, "next_cursor": {"type": ["string", "null"], "example": "ODE1Nzc"}}
    described = {
        "cursor": ("The `next_cursor` of the page before.", {"type": "string"}),
        "per_page": Pages.described["per_page"],
    }

    order: tuple[str, ...] = ("-pk",)

    def take(self, rows: QuerySet[Any]) -> list[Any]:
        place, per_page = self.asked.get("cursor"), self.asked["per_page"]
        following = rows if place is None else self.behind(rows, place)
        found = list(following.order_by(*self.order)[: per_page + 1])
        page = found[:per_page]
        is_last = len(found) <= per_page
        self.told = {"per_page": per_page, "next_cursor": None if is_last else self.write(page[-1])}
        return page

    def behind(self, rows: QuerySet[Any], place: Any) -> QuerySet[Any]:
        """What comes after the place that a cursor names."""
        return rows.filter(pk__lt=place)

    def write(self, row: Any) -> str:
        """The cursor that names the place of the row."""
        return write_cursor(row.pk)
