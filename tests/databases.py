"""Databases of tests: what they commit need not reach the disk, because nobody cuts the power here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.db import transaction


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


def made_once(make: Callable[[], Any]) -> Any:
    """A fixture by which each test of a module begins with what `make` writes, and asks for a copy of what it returns.

    It is all in one transaction, in which the database undoes what a test changed; so no test may be transactional.
    """

    @pytest.fixture(scope="module")
    def made(django_db_setup: None, django_db_blocker: Any) -> Iterator[Callable[[], Any]]:
        with django_db_blocker.unblock(), transaction.atomic():
            result = make()
            with django_db_blocker.block():
                yield lambda: deepcopy(result)
            transaction.set_rollback(True)

    return made
