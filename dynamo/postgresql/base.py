"""Django's backend for PostgreSQL, on our own pool."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, ClassVar

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.backends.postgresql import base

from .connection import Connection
from .pool import Pool

_making = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    _connection_pools: ClassVar[dict[str, Pool]]
    _configure_connection: Callable[[Any], bool]

    @property
    def pool(self) -> Pool | None:
        options = self.settings_dict["OPTIONS"].get("pool")
        if self.alias == NO_DB_ALIAS or not options:
            return None
        with _making:
            if self.alias not in self._connection_pools:
                self._connection_pools[self.alias] = Pool(self._connect, **options)
            return self._connection_pools[self.alias]

    def _connect(self) -> Any:
        connection = Connection.connect(**self.get_connection_params(), autocommit=True)
        if self.pool is not None:
            connection.ask = self.pool.ask
        self._configure_connection(connection)
        return connection
