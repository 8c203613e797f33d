from __future__ import annotations

import json
from typing import Any

from django.db import models
from django.db.models import F

from apikeys.clock import now
from apikeys.querysets import ChargePointOwnedQuerySet

from .charge_point import ChargePoint

KEY_LENGTH = 255


class ConfigurationKeyQuerySet(ChargePointOwnedQuerySet["ConfigurationKey"]):
    def record(self, charge_point: ChargePoint, told: list[dict[str, Any]], unknown: list[str]) -> None:
        """Store an answer to GetConfiguration: OCPP's list of KeyValue, and the keys that there are not."""
        rows = {row.name: row for row in (ConfigurationKey.told(charge_point, item) for item in told)}
        self._store(list(rows.values()), "key", "value", "readonly", "as_of")
        own = self.filter(charge_point=charge_point)
        # It has been rebooted meanwhile.
        own.filter(name__in=rows, value_after_reboot=F("value")).update(value_after_reboot=None)
        own.filter(name__in=[name_of(key) for key in unknown]).delete()

    def change(self, charge_point: ChargePoint, key: str, value: str, *, after_reboot: bool) -> None:
        """Store an accepted ChangeConfiguration, which may only take effect with the next reboot."""
        row = ConfigurationKey.told(charge_point, {"key": key, "readonly": False})
        if after_reboot:
            row.value_after_reboot = value
            self._store([row], "value_after_reboot", "readonly", "as_of")
            return
        row.value = value
        self._store([row], "value", "value_after_reboot", "readonly", "as_of")

    def _store(self, rows: list[ConfigurationKey], *names: str) -> None:
        """Insert these rows, or update the columns of these names."""
        unique = ["charge_point", "name"]
        # In one order everywhere, so that two processes cannot wait for each other.
        ordered = sorted(rows, key=lambda row: row.name)
        self.bulk_create(ordered, update_conflicts=True, unique_fields=unique, update_fields=names)


class ConfigurationKey(models.Model):
    """A configuration key of a charge point, as it last told us or took from us."""

    charge_point = models.ForeignKey(ChargePoint, models.CASCADE, db_index=False, related_name="configuration")
    name = models.CharField(max_length=KEY_LENGTH, help_text="The key as it is compared: without case (CiString).")
    key = models.CharField(max_length=KEY_LENGTH)
    value = models.TextField(null=True, blank=True)
    value_after_reboot = models.TextField(
        null=True, blank=True, help_text="What it was set to, from the next reboot on."
    )
    readonly = models.BooleanField()
    as_of = models.DateTimeField()

    objects = ConfigurationKeyQuerySet.as_manager()

    class Meta:
        ordering = ["charge_point", "name"]
        constraints = [models.UniqueConstraint(fields=["charge_point", "name"], name="configuration_key_unique")]

    def __str__(self) -> str:
        return self.key

    @classmethod
    def told(cls, charge_point: ChargePoint, item: dict[str, Any]) -> ConfigurationKey:
        """The row of OCPP's KeyValue; some charge points tell values that are no text."""
        key, value = item["key"][:KEY_LENGTH], item.get("value")
        text = value if value is None or isinstance(value, str) else json.dumps(value)
        return cls(
            charge_point=charge_point, name=name_of(key), key=key, value=text, readonly=item["readonly"], as_of=now()
        )


def name_of(key: str) -> str:
    return key[:KEY_LENGTH].lower()[:KEY_LENGTH]
