import django.db.models.deletion
from django.db import migrations, models

from chargepoints.migrations._listing import KeepLists


class Migration(migrations.Migration):

    dependencies = [
        ('apikeys', '0001_initial'),
        ('chargepoints', '0011_webhooks'),
    ]

    operations = [
        migrations.CreateModel(
            name='Listing',
            fields=[
                ('pk', models.CompositePrimaryKey('charge_point', 'status', blank=True, editable=False, primary_key=True, serialize=False)),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='apikeys.organization')),
                ('status', models.CharField(max_length=50)),
                ('identity', models.CharField(max_length=48)),
                ('charge_point', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='chargepoints.chargepoint')),
            ],
            options={
                'indexes': [models.Index(fields=['organization', 'status', 'identity', 'charge_point'], name='listing_page')],
            },
        ),
        migrations.CreateModel(
            name='ListingChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('organization', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='apikeys.organization')),
                ('status', models.CharField(max_length=50)),
                ('identity', models.CharField(max_length=48)),
                ('change', models.IntegerField()),
            ],
            options={
                'indexes': [models.Index(fields=['organization', 'status'], name='listing_change_list')],
            },
        ),
        migrations.RemoveIndex(
            model_name='connector',
            name='connector_listed',
        ),
        KeepLists(),
    ]
