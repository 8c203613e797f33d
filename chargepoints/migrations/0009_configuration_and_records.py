import django.db.models.deletion
import django.db.models.functions.text
from django.db import migrations, models

from chargepoints.migrations._concurrently import AddIndexConcurrently
from chargepoints.migrations._without_index import WithoutIndex


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('chargepoints', '0008_id_tag_lists'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConfigurationKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('charge_point', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='configuration', to='chargepoints.chargepoint')),
                ('name', models.CharField(help_text='The key as it is compared: without case (CiString).', max_length=255)),
                ('key', models.CharField(max_length=255)),
                ('value', models.TextField(blank=True, null=True)),
                ('value_after_reboot', models.TextField(blank=True, help_text='What it was set to, from the next reboot on.', null=True)),
                ('readonly', models.BooleanField()),
                ('as_of', models.DateTimeField()),
            ],
            options={
                'ordering': ['charge_point', 'name'],
                'constraints': [models.UniqueConstraint(fields=('charge_point', 'name'), name='configuration_key_unique')],
            },
        ),
        AddIndexConcurrently(
            model_name='chargingprofile',
            index=models.Index(fields=['charge_point', '-id'], name='chargepoint_charge__9d8b27_idx'),
        ),
        WithoutIndex(
            model_name='chargingprofile',
            name='charge_point',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='charging_profiles', to='chargepoints.chargepoint'),
        ),
        AddIndexConcurrently(
            model_name='reservation',
            index=models.Index(django.db.models.functions.text.Upper('id_tag'), name='reservation_id_tag'),
        ),
        AddIndexConcurrently(
            model_name='reservation',
            index=models.Index(condition=models.Q(('state', 'active')), fields=['expires_at'], name='reservation_active'),
        ),
    ]
