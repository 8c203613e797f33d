import django.db.models.deletion
from django.db import migrations, models

from chargepoints.migrations._without_constraint import WithoutConstraint


class Migration(migrations.Migration):

    dependencies = [
        ('apikeys', '0007_made_by_key'),
        ('chargepoints', '0016_lines_changed_in_place'),
    ]

    operations = [
        WithoutConstraint(
            model_name='connectorstatus',
            name='charge_point',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='status_history', to='chargepoints.chargepoint'),
        ),
        WithoutConstraint(
            model_name='event',
            name='charge_point',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='chargepoints.chargepoint'),
        ),
        WithoutConstraint(
            model_name='event',
            name='organization',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='apikeys.organization'),
        ),
        migrations.AlterField(
            model_name='outboxevent',
            name='charge_point',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='chargepoints.chargepoint'),
        ),
    ]
