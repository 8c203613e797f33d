"""The group "Operations": what staff need for their daily work, within the organizations they belong to."""

from django.db import migrations

GROUP = "Operations"
PERMISSIONS = {
    "apikeys": {"organization": "view change", "apikey": "view add change"},
    "chargepoints": {
        "chargepoint": "view add change delete",
        "idtag": "view add change delete",
        "connector": "view",
        "connectorstatus": "view",
        "conformancefinding": "view",
        "transaction": "view",
        "metervalue": "view",
        "orphanstop": "view",
        "reservation": "view",
        "chargingprofile": "view",
        "notification": "view",
        "securityevent": "view",
    },
    "ocpp16": {"command": "view", "message": "view", "refusedconnection": "view"},
}


def create(apps, schema_editor):
    alias = schema_editor.connection.alias
    group, _ = apps.get_model("auth", "Group").objects.using(alias).get_or_create(name=GROUP)
    for app_label, models in PERMISSIONS.items():
        for model, verbs in models.items():
            for verb in verbs.split():
                group.permissions.add(permission(apps, alias, app_label, model, verb))


def permission(apps, alias, app_label, model, verb):
    # Django writes permissions only after the last migration, and leaves alone those that it finds.
    content_types = apps.get_model("contenttypes", "ContentType").objects.using(alias)
    content_type, _ = content_types.get_or_create(app_label=app_label, model=model)
    name = f"Can {verb} {apps.get_model(app_label, model)._meta.verbose_name_raw}"
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    row, _ = permissions.get_or_create(
        codename=f"{verb}_{model}", content_type=content_type, defaults={"name": name}
    )
    return row


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("chargepoints", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("ocpp16", "0001_initial"),
    ]

    operations = [migrations.RunPython(create, migrations.RunPython.noop, elidable=False)]
