"""Databases of tests: what they commit need not reach the disk, because nobody cuts the power here."""

from __future__ import annotations

from typing import Any


def spare_the_disk(settings: dict[str, Any]) -> None:
    """For every connection by these settings, to SQLite; PostgreSQL knows it by the database."""
    if "init_command" in settings["OPTIONS"]:
        settings["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"


def commit_in_memory(connection: Any) -> None:
    """For every connection from now on to this database of PostgreSQL."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    connection.close()
