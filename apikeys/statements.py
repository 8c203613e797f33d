"""Statements that come all the time, which the ORM takes longer to write than the database to carry out."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence, Sized
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import psycopg
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

M = TypeVar("M", bound=models.Model)


class Prepared(psycopg.Cursor[Any]):
    """What it executes, its connection keeps parsed and planned; the texts must be few."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Prepared:
        # Only for this cursor's: of what others execute, psycopg would keep the texts to count them.
        self.connection.prepare_threshold = 0
        try:
            super().execute(query, params, prepare=True, **options)
        finally:
            self.connection.prepare_threshold = None
        # What Django tells of it where queries are looked at; psycopg keeps it of all others.
        self._query = cast(Any, SimpleNamespace(query=query.encode()))
        return self


# By what name a connection keeps the cursor that nobody uses.
SPARE = "dynamo_prepared_cursor"


@contextmanager
def prepared() -> Iterator[Any]:
    """A cursor for statements that come all the time, which take PostgreSQL half as long if planned only once.

    There it is that of its connection, unless somebody has that already: to make one takes half as long as to use it.
    """
    database = this_connection()
    if database.vendor != "postgresql":
        with database.cursor() as cursor:
            yield cursor
        return
    database.ensure_connection()
    kept = vars(database.connection)
    spare: Any = kept.pop(SPARE, None) or Prepared(database.connection)
    try:
        yield (database.make_debug_cursor if database.queries_logged else database.make_cursor)(spare)
    finally:
        kept[SPARE] = spare


def this_connection() -> BaseDatabaseWrapper:
    """Django's `connection` itself, which asks at every look which thread or task this is."""
    return connections[DEFAULT_DB_ALIAS]


ONE_OF = {"postgresql": "= ANY(%s)", "sqlite": "IN (SELECT value FROM json_each(%s))"}


def among(values: Collection[int] | Collection[str] | Collection[uuid.UUID]) -> tuple[str, Any]:
    """The end of a condition, that a column is one of these, with its one parameter: few statements serve any number.

    A single value has a statement of its own, whose plan PostgreSQL keeps. A plan for any list it makes for ten values;
    for a shorter one it rather plans anew each time, which takes longer than to look a row up.
    """
    vendor = connection.vendor
    if len(values) == 1:
        (value,) = values
        # As text: integers of different sizes would be different statements.
        return "= %s", str(value) if vendor == "postgresql" else value
    return ONE_OF[vendor], as_list([*values])


def as_list(values: list[Any]) -> Any:
    """The values as one parameter: an array in PostgreSQL, in SQLite one of JSON."""
    if values and isinstance(values[0], int):  # as text, which takes the driver a fraction
        text = ",".join(map(str, values))
        return f"{{{text}}}" if connection.vendor == "postgresql" else f"[{text}]"
    return values if connection.vendor == "postgresql" else json.dumps(values)


# What `lined` makes, as rows.
LINES = {"postgresql": "string_to_table(%s, E'\\n')", "sqlite": "(SELECT value FROM json_each(%s))"}


def lined(texts: Sequence[str]) -> str:
    """Texts without line breaks as one parameter: lines in PostgreSQL, a JSON array in SQLite."""
    return "\n".join(texts) if connection.vendor == "postgresql" else json.dumps(texts)


def places(values: Sized) -> str:
    """The places of so many values in a statement."""
    return ", ".join(["%s"] * len(values))


@cache
def columns_of(model: type[models.Model], names: Sequence[str], table: str) -> str:
    """What a prepared statement tells of these fields; it must not change its types when a migration widens a text."""
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    columns = [(f"{table}.{connection.ops.quote_name(field.column)}", field) for field in fields]
    return ", ".join(
        f"CAST({column} AS text)" if isinstance(field, models.CharField) else column for column, field in columns
    )


def read(
    model: type[M],
    columns: Sequence[str],
    statement: str,
    params: Sequence[Any],
    beside: Sequence[str] = (),
    *,
    is_prepared: bool = False,
) -> list[M]:
    """The rows of which the statement tells these columns, in the order of the fields, then values `beside` them.

    It takes a third of what raw() does.
    """
    with prepared() if is_prepared else connection.cursor() as cursor:
        cursor.execute(statement, params)
        found = cursor.fetchall()
    database = this_connection()
    conversions = _conversions(model, tuple(columns)) if found else []
    rows = []
    for told in found:
        values = [*told]
        for index, column, convert in conversions:
            values[index] = convert(values[index], column, database)
        row = model.from_db(database.alias, columns, values[: len(columns)])
        row.__dict__.update(zip(beside, values[len(columns) :], strict=True))
        rows.append(row)
    return rows


@cache
def _conversions(model: type[models.Model], columns: Sequence[str]) -> list[tuple[int, Any, Callable[..., Any]]]:
    """What makes of the values in these places what the model's fields hold; in PostgreSQL most are that already."""
    fields: list[Any] = [model._meta.get_field(column) for column in columns]
    # That which asks first; all are to the same database.
    database = this_connection()
    return [
        (index, field.cached_col, convert)
        for index, field in enumerate(fields)
        for convert in (
            *database.ops.get_db_converters(field.cached_col),
            *field.cached_col.get_db_converters(database),
        )
    ]
