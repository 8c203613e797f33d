from __future__ import annotations

from typing import Any

from django.db.models import Lookup

from apikeys.statements import lined


class IsAmong(Lookup):
    """What `__in` asks of lines of text: by one parameter, for hundreds take longer to write than to look up."""

    prepare_rhs = False
    rhs: list[str]

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} IN (SELECT value FROM json_each(%s))", (*params, lined(self.rhs))  # noqa: S608  a column

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, params = self.process_lhs(compiler, connection)
        return f"{left} = ANY(string_to_array(%s, E'\\n'))", (*params, lined(self.rhs))
