from django.db import migrations, models

from chargepoints.migrations._concurrently import AddIndexConcurrently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('chargepoints', '0017_without_constraints'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='chargepoint',
            index=models.Index(fields=['channel_name'], name='charge_point_channels', opclasses=['varchar_pattern_ops']),
        ),
        migrations.RemoveIndex(
            model_name='chargepoint',
            name='charge_point_channel',
        ),
    ]
