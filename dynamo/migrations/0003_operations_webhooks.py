"""Webhooks are part of the daily work of the group "Operations"."""

from importlib import import_module

from django.db import migrations

operations_group = import_module("dynamo.migrations.0001_operations")
PERMISSIONS = {
    "event": "view",
    "webhookendpoint": "view add change delete",
    "webhookdelivery": "view",
}


def allow(apps, schema_editor):
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    # One that was renamed or removed is left alone.
    for group in groups.filter(name=operations_group.GROUP):
        for model, verbs in PERMISSIONS.items():
            for verb in verbs.split():
                group.permissions.add(operations_group.permission(apps, alias, "chargepoints", model, verb))


class Migration(migrations.Migration):
    dependencies = [("dynamo", "0002_operations_bulk_commands"), ("chargepoints", "0011_webhooks")]

    operations = [migrations.RunPython(allow, migrations.RunPython.noop, elidable=False)]
