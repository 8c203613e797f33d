"""Lists as CSV files: streamed, and with no cell that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.text import slugify

from apikeys.admin.display import printable
from chargepoints.database import in_database

CHUNK = 500
KEYS_AT_ONCE = 10_000
# Without it, Excel takes UTF-8 for the code page of the machine.
BYTE_ORDER_MARK = "\ufeff"
# At the start of a cell, or of what becomes one where another separator is customary or the quotes are lost.
FORMULA = re.compile(r"""(^|[\t\r\n,;|])(?=[\s"']*[=+\-@＝＋－＠]|[\t\r\n])""")

# A long export must not take the threads of the sockets.
_thread = ThreadPoolExecutor(1, thread_name_prefix="export")


def cell(value: Any) -> Any:
    """A value as a cell: numbers as they are, moments in UTC, text such that it stays text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return FORMULA.sub(r"\1'", printable(str(value)).replace("\x00", ""))


def lines(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows([[cell(value) for value in row] for row in rows])
    return text.getvalue()


async def stream(rows: QuerySet[Any], columns: Sequence[str]) -> AsyncIterator[str]:
    """The file in parts; `columns` are attributes such as `charge_point.identity`."""
    read = attrgetter(*columns)
    yield BYTE_ORDER_MARK + lines([[column.replace(".", "_") for column in columns]])
    keys = await in_database(keys_of, rows, threads=_thread)
    for start in range(0, len(keys), CHUNK):
        yield await in_database(part, rows, list(keys[start : start + CHUNK]), read, threads=_thread)


def keys_of(rows: QuerySet[Any]) -> array[int]:
    """The primary keys in the order of the rows, in 8 bytes each; a cursor would have to stay open until the end."""
    return array("q", rows.values_list("pk", flat=True).iterator(KEYS_AT_ONCE))


def part(rows: QuerySet[Any], keys: list[Any], read: attrgetter[Any]) -> str:
    """The lines of these rows, in the order of their keys, but for those that have gone meanwhile."""
    found = rows.in_bulk(keys)
    return lines(read(found[key]) for key in keys if key in found)


@admin.action(description="Export as CSV", permissions=["view"])
def export_as_csv(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
    """An action for every admin that says in `csv_columns` what goes into the file."""
    name = f"{slugify(str(model_admin.opts.verbose_name_plural))}-{timezone.now():%Y%m%d-%H%M%S}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    content = stream(queryset, model_admin.csv_columns)
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)
