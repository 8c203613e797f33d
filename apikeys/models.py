from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone

from .clock import now
from .idempotency import IdempotentRequest as IdempotentRequest
from .key_texts import KEY_FORMAT, MODES, PREFIX_LENGTH, digest, new_text
from .limits import (
    MAXIMUM_RATE,
    is_within,
    names_more,
    reaches_further,
    validate_addresses,
    validate_charge_points,
    validate_commands,
)
from .querysets import OrganizationQuerySet, OrganizationsQuerySet
from .scopes import validate_scopes
from .statements import among, columns_of, read

FIND = """
    SELECT {columns}, CAST(organization.name AS text), organization.is_active
    FROM apikeys_apikey AS api_key
    JOIN apikeys_organization AS organization ON organization.id = api_key.organization_id
    WHERE api_key.prefix {among}
"""


class Organization(models.Model):
    """A tenant: its charge points, keys, id tags and sessions are invisible to every other."""

    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True, help_text="The keys of an inactive organization are refused.")
    accept_unknown_id_tags = models.BooleanField(
        default=True, help_text="Authorize id tags that are not listed. Otherwise only listed ones may charge."
    )
    heartbeat_interval = models.PositiveIntegerField(
        default=300, help_text="Seconds between heartbeats, told to charge points when they boot."
    )
    users = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Membership", related_name="organizations")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = OrganizationsQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"),
                name="organization_name_unique",
                violation_error_message="An organization of this name exists already.",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """Lets a staff user see and touch an organization."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")

    objects = OrganizationQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "organization"], name="membership_unique")]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"


class AlreadyRevoked(Exception):
    """The key has been revoked or rotated before, by somebody else perhaps just now."""


def with_organization(row: Any) -> ApiKey:
    """A row of FIND, with its organization as far as that tells it; the rest is read when it is asked for."""
    names = ("id", "name", "is_active")
    values = (row.organization_id, row.organization_name, bool(row.organization_is_active))
    row.organization = Organization.from_db(row._state.db, names, values)
    return row


class ApiKeyQuerySet(OrganizationQuerySet["ApiKey"]):
    sandbox_path = "is_test"

    def usable(self) -> ApiKeyQuerySet:
        """Keys that are neither revoked nor expired, of active organizations."""
        unexpired = Q(expires_at=None) | Q(expires_at__gt=Now())
        return self.filter(unexpired, revoked_at=None, organization__is_active=True)

    def find(self, key: str) -> ApiKey | None:
        """The usable key whose full text is `key`, or None."""
        return self.find_all({key}).get(key)

    def find_all(self, keys: Iterable[str]) -> dict[str, ApiKey]:
        """Those of these full texts that are usable keys."""
        wanted = {key: key[:PREFIX_LENGTH] for key in keys if KEY_FORMAT.fullmatch(key)}
        if not wanted:
            return {}
        # Every request asks this, and the ORM takes longer to write it than the database to answer.
        columns = tuple(field.name for field in self.model._meta.concrete_fields)
        one_of, prefixes = among({*wanted.values()})
        statement = FIND.format(columns=columns_of(self.model, columns, "api_key"), among=one_of)
        beside = ("organization_name", "organization_is_active")
        rows = read(self.model, columns, statement, [prefixes], beside, is_prepared=True)
        named = {row.prefix: row for row in map(with_organization, rows) if row.is_usable}
        known = {key: named[prefix] for key, prefix in wanted.items() if prefix in named}
        return {key: row for key, row in known.items() if hmac.compare_digest(row.digest, digest(key))}

    def hold(self, *pks: int) -> dict[int, ApiKey]:
        """These keys as they are now, and stay until the end of the transaction."""
        rows = self.filter(pk__in=pks).select_related("organization").order_by("pk")
        return {row.pk: row for row in rows.select_for_update(of=("self",), no_key=True)}

    def issue(
        self,
        organization: Organization,
        name: str,
        scopes: Iterable[str],
        expires_at: datetime | None = None,
        created_by: Any = None,
        is_test: bool = False,
        made_by: ApiKey | None = None,
        **limits: Any,
    ) -> tuple[ApiKey, str]:
        """Create a key; returns its row and its full text, which is stored nowhere."""
        text = new_text(is_test=is_test)
        row = ApiKey(
            organization=organization,
            name=name,
            scopes=list(scopes),
            expires_at=expires_at,
            created_by=created_by,
            made_by=made_by,
            is_test=is_test,
            prefix=text[:PREFIX_LENGTH],
            digest=digest(text),
            **limits,
        )
        row.full_clean()
        row.save(force_insert=True)
        return row, text


class ApiKey(models.Model):
    """A secret by which an integrator acts for an organization, within its scopes."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=PREFIX_LENGTH, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    is_test = models.BooleanField(
        "test key", default=False, db_default=False, help_text="It reaches simulated charge points only."
    )
    scopes = models.JSONField(default=list, blank=True, validators=[validate_scopes])
    allowed_commands = models.JSONField(null=True, blank=True, validators=[validate_commands])
    allowed_charge_points = models.JSONField(null=True, blank=True, validators=[validate_charge_points])
    allowed_addresses = models.JSONField(null=True, blank=True, validators=[validate_addresses])
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAXIMUM_RATE)],
        help_text="How many requests it may make; empty: as many as DYNAMO_API_RATE says.",
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    made_by = models.ForeignKey(
        "self",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name="made by the key",
    )

    objects = ApiKeyQuerySet.as_manager()
    LIMITS = ("allowed_commands", "allowed_charge_points", "allowed_addresses", "requests_per_minute")

    class Meta:
        ordering = ["organization", "name"]
        verbose_name = "API key"
        verbose_name_plural = "API keys"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def state(self) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now():
            return "expired"
        return "active"

    @property
    def mode(self) -> str:
        """`live` or `test`."""
        return MODES[self.is_test]

    @property
    def is_usable(self) -> bool:
        """Neither revoked nor expired, and of an active organization."""
        return self.state == "active" and self.organization.is_active

    @property
    def limits(self) -> dict[str, Any]:
        """What it is confined to beside its scopes; None is no limit."""
        return {name: getattr(self, name) for name in self.LIMITS}

    @property
    def rate(self) -> int:
        """How many requests it may make in a minute; 0 for as many as it likes."""
        return self.requests_per_minute or settings.DYNAMO_API_RATE

    def may_send(self, action: str) -> bool:
        return self.allowed_commands is None or action in self.allowed_commands

    def may_come_from(self, address: str) -> bool:
        return self.allowed_addresses is None or is_within(address, tuple(self.allowed_addresses))

    def revoke(self) -> bool:
        """Refuse the key from now on; False if it was revoked before."""
        revoked_at = now()
        if not ApiKey.objects.filter(pk=self.pk, revoked_at=None).update(revoked_at=revoked_at):
            return False
        self.revoked_at = revoked_at
        return True

    def rotate(
        self, created_by: Any = None, overlap: timedelta = timedelta(0), made_by: ApiKey | None = None
    ) -> tuple[ApiKey, str]:
        """Issue another key with the same name, rights and expiry, and let this one end after `overlap`.

        Raises AlreadyRevoked where it was revoked or rotated before.
        """
        expires_at = self.expires_at
        with transaction.atomic():
            if not self._retire(overlap):
                said = "revoked" if ApiKey.objects.filter(pk=self.pk, rotated_at=None).exists() else "rotated"
                raise AlreadyRevoked(f"The key {self} is {said} already: only an active key can be rotated.")
            rights = (self.organization, self.name, self.scopes, expires_at, created_by)
            return ApiKey.objects.issue(*rights, self.is_test, made_by, **self.limits)

    def _retire(self, overlap: timedelta) -> bool:
        """Let the key go on for so long and no longer than it would have; False if it was revoked or rotated before."""
        moment = now()
        ending: dict[str, Any] = {"rotated_at": moment, "revoked_at": moment}
        if overlap:
            end = moment + overlap
            expires_at = end if self.expires_at is None else min(self.expires_at, end)
            ending = {"rotated_at": moment, "expires_at": expires_at}
        if not ApiKey.objects.filter(pk=self.pk, revoked_at=None, rotated_at=None).update(**ending):
            return False
        for name, value in ending.items():
            setattr(self, name, value)
        return True

    def exceeds(self, other: ApiKey) -> list[str]:
        """In what this key may do more than the other: the names of those of its fields."""
        exceeding = {
            "mode": other.is_test and not self.is_test,
            "scopes": names_more(self.scopes, other.scopes),
            "allowed_commands": names_more(self.allowed_commands, other.allowed_commands),
            "allowed_charge_points": names_more(self.allowed_charge_points, other.allowed_charge_points),
            "allowed_addresses": reaches_further(self.allowed_addresses, other.allowed_addresses),
            "requests_per_minute": bool(other.rate) and not 0 < self.rate <= other.rate,
            "expires_at": other.expires_at is not None
            and (self.expires_at is None or self.expires_at > other.expires_at),
        }
        return [name for name, is_more in exceeding.items() if is_more]

    def record_use(self) -> None:
        """Remember that the key was used, at most once a minute."""
        used_at = now()
        if self.last_used_at is not None and used_at - self.last_used_at < timedelta(minutes=1):
            return
        unused = Q(last_used_at=None) | Q(last_used_at__lt=used_at - timedelta(minutes=1))
        ApiKey.objects.filter(unused, pk=self.pk).update(last_used_at=used_at)
        self.last_used_at = used_at
