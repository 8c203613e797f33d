from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.text import slugify

from chargepoints.csv_files import attributes, download, stream

# Without it, Excel takes UTF-8 for the code page of the machine.
BYTE_ORDER_MARK = "\ufeff"


async def for_spreadsheets(content: AsyncIterator[str]) -> AsyncIterator[str]:
    yield BYTE_ORDER_MARK
    async for part in content:
        yield part


@admin.action(description="Export as CSV", permissions=["view"])
def export_as_csv(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
    """An action for every admin that says in `csv_columns` what goes into the file."""
    columns = model_admin.csv_columns
    heading = [column.replace(".", "_") for column in columns]
    content = stream(queryset, heading, attributes(*columns))
    return download(slugify(str(model_admin.opts.verbose_name_plural)), for_spreadsheets(content))
