"""Lists as CSV files: streamed, and with no cell that a spreadsheet would take for a formula."""

from __future__ import annotations

import csv
import io
import re
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.utils import timezone

from apikeys.admin.display import printable
from apikeys.clock import written
from chargepoints.database import in_database

Read = Callable[[Any], Iterable[Sequence[Any]]]

CHUNK = 500
KEYS_AT_ONCE = 10_000
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
    if isinstance(value, int | float):
        return value
    if isinstance(value, datetime):
        return written(value)
    return FORMULA.sub(r"\1'", printable(str(value)).replace("\x00", ""))


def lines(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows([[cell(value) for value in row] for row in rows])
    return text.getvalue()


async def stream(rows: QuerySet[Any], heading: Sequence[str], read: Read) -> AsyncIterator[str]:
    """The file in parts, made no faster than it is taken; `read` tells the lines of a row."""
    yield lines([heading])
    keys = await in_database(keys_of, rows, threads=_thread)
    for start in range(0, len(keys), CHUNK):
        yield await in_database(part, rows, list(keys[start : start + CHUNK]), read, threads=_thread)


def attributes(*names: str) -> Read:
    """Reads one line of a row: the attributes of these names, such as `charge_point.identity`."""
    values = attrgetter(*names)
    return lambda row: [values(row)]


def keys_of(rows: QuerySet[Any]) -> array[int]:
    """The primary keys in the order of the rows, in 8 bytes each; a cursor would have to stay open until the end."""
    return array("q", rows.values_list("pk", flat=True).iterator(KEYS_AT_ONCE))


def part(rows: QuerySet[Any], keys: list[Any], read: Read) -> str:
    """The lines of these rows, in the order of their keys, but for those that have gone meanwhile."""
    found = rows.in_bulk(keys)
    return lines(line for key in keys if key in found for line in read(found[key]))


def download(name: str, content: AsyncIterator[str]) -> StreamingHttpResponse:
    """The file as a response, named after what is in it and the time."""
    headers = {"Content-Disposition": f'attachment; filename="{name}-{timezone.now():%Y%m%d-%H%M%S}.csv"'}
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)
