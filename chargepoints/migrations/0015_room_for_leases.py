from typing import Any

from django.db import migrations


def leave_room(apps: Any, schema_editor: Any) -> None:
    """Fill the pages of charge points by half on PostgreSQL.

    A lease is renewed for many charge points in one transaction, in which there are two of each of these rows. Where
    the second has no room in the page of the first, every index gets another entry: six times the cost.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE chargepoints_chargepoint SET (fillfactor = 50)")


def take_room(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE chargepoints_chargepoint RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("chargepoints", "0014_lists_by_statement")]

    operations = [migrations.RunPython(leave_room, take_room, elidable=False)]
