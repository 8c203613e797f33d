from typing import Any

from django.db import migrations


class AddIndexConcurrently(migrations.AddIndex):
    """Adds an index while rows are written, on PostgreSQL; its migration must not be atomic.

    Django's own knows no other database.
    """

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        # What an attempt that failed has left behind, is no index.
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {schema_editor.quote_name(self.index.name)}")
        schema_editor.add_index(model, self.index, concurrently=True)
