"""What the group "Operations" may do with bulk commands."""

from importlib import import_module

from django.db import migrations

operations_group = import_module("dynamo.migrations.0001_operations")


def allow(apps, schema_editor):
    alias = schema_editor.connection.alias
    # Who renamed or removed the group decides for themselves.
    for group in apps.get_model("auth", "Group").objects.using(alias).filter(name=operations_group.GROUP):
        for model in ("bulkcommand", "bulktarget"):
            group.permissions.add(operations_group.permission(apps, alias, "ocpp16", model, "view"))


class Migration(migrations.Migration):
    dependencies = [("dynamo", "0001_operations"), ("ocpp16", "0006_bulk_commands")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop, elidable=False)]
