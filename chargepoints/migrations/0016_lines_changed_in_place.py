from django.db import migrations

from chargepoints.migrations._listing import KeepListsByStatement


class Migration(migrations.Migration):

    dependencies = [
        ('chargepoints', '0015_room_for_leases'),
    ]

    operations = [
        KeepListsByStatement(),
    ]
