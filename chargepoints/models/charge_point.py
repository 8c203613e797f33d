from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now
from django.utils import timezone

from apikeys import clock
from apikeys.models import Organization
from apikeys.statements import among, columns_of, read

from .. import credentials
from ..database import update
from ..identities import IDENTITY_FORBIDDEN, IDENTITY_LENGTH, validate_identity
from ..statements import NAMED_TO_COMMAND
from . import happened
from .conversing import ConversingQuerySet
from .deletion import Deleted, delete_whole
from .event import OutboxEvent

HARDWARE = (
    "vendor",
    "model",
    "serial_number",
    "charge_box_serial_number",
    "firmware_version",
    "iccid",
    "imsi",
    "meter_type",
    "meter_serial_number",
)
# What decides whether a command can be sent, in the order of the fields.
DECIDING = ("id", "organization_id", "identity", "is_simulated", "registration_status", "channel_name", "online_until")


class RegistrationStatus(models.TextChoices):
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class SecurityProfile(models.IntegerChoices):
    NONE = 0, "0: no credentials"
    BASIC = 1, "1: password"
    TLS_BASIC = 2, "2: TLS and password"
    TLS_CERTIFICATE = 3, "3: TLS and client certificate"

    @property
    def needs_password(self) -> bool:
        return self in (SecurityProfile.BASIC, SecurityProfile.TLS_BASIC)


class Availability(models.TextChoices):
    OPERATIVE = "Operative"
    INOPERATIVE = "Inoperative"


class ChargePointQuerySet(ConversingQuerySet):
    charge_point_path = "identity"
    sandbox_path = "is_simulated"

    def to_command(self) -> ChargePointQuerySet:
        """With only what decides whether a command can be sent."""
        return self.only(*DECIDING)

    def named_to_command(self, identities: Collection[str]) -> dict[str, ChargePoint]:
        """Those of these identities, as `to_command` tells them; which of them a key reaches, `reaches` says."""
        possible = [identity for identity in identities if not IDENTITY_FORBIDDEN.search(identity)]
        columns = columns_of(self.model, DECIDING, "charge_point")
        one_of, named = among(possible)
        statement = NAMED_TO_COMMAND.format(columns=columns, among=one_of)
        rows = read(self.model, DECIDING, statement, [named], is_prepared=True)
        return {row.identity: row for row in rows}

    def provision(self, organization: Organization, identity: str, password: str | None, **fields: Any) -> ChargePoint:
        """Register a charge point; without password and certificate it needs no credentials (security profile 0)."""
        charge_point = ChargePoint(organization=organization, identity=identity, **fields)
        if password is not None:
            charge_point.password_digest = credentials.make_digest(password.encode())
        elif charge_point.security_profile != SecurityProfile.TLS_CERTIFICATE:
            charge_point.security_profile = SecurityProfile.NONE
        charge_point.full_clean()
        charge_point.save(force_insert=True)
        return charge_point

    def delete(self) -> Deleted:
        """Delete them with all that is theirs; who says something meanwhile is unknown then."""
        return delete_whole(self.model._base_manager.filter(pk__in=list(self.values_list("pk", flat=True))))

    # As Django's own: not to be had of the manager, nor in a template.
    delete.queryset_only = delete.alters_data = True  # type: ignore[attr-defined]

    def simulated(self, pks: Collection[int]) -> set[int]:
        """Those of these that are simulated."""
        return set(self.filter(pk__in=pks, is_simulated=True).order_by().values_list("pk", flat=True))

    def boot(self, told: list[tuple[int, datetime, dict[str, str]]]) -> None:
        """Store what BootNotifications told: each (charge point, moment, values by the names of HARDWARE)."""
        adapt = connection.ops.adapt_datetimefield_value
        rows = [(adapt(at), *(hardware[name] for name in HARDWARE), pk) for pk, at, hardware in told]
        update(ChargePoint, ("last_boot_at", *HARDWARE), sorted(rows, key=lambda row: row[-1]))
        OutboxEvent.objects.record(happened.booted(pk, at, hardware) for pk, at, hardware in told)

    def report_step(self, pk: int, name: str, status: str) -> str:
        """Store the newest `firmware_status` or `diagnostics_status`; returns the one before."""
        rows = self.filter(pk=pk)
        before = rows.values_list(name, flat=True).get()
        rows.update(**{name: status})
        return before

    def record_life(self, heard: dict[int, float]) -> None:
        """Note when these charge points last said something: primary keys with moments of the monotonic clock."""
        asked_at = time.monotonic()
        seconds: dict[datetime, list[int]] = {}
        for now in self.annotate(now=Now()).values_list("now", flat=True)[:1]:
            for pk, moment in heard.items():
                seen_at = now - timedelta(seconds=asked_at - moment)
                seconds.setdefault(seen_at.replace(microsecond=0), []).append(pk)
        for seen_at, pks in seconds.items():
            self.filter(pk__in=pks).update(last_seen_at=seen_at)


class ChargePoint(models.Model):
    """A charging station as we know it: who it is, how it may connect, what it told us, and its live socket."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="charge_points")
    identity = models.CharField(max_length=IDENTITY_LENGTH, unique=True, validators=[validate_identity])
    description = models.CharField(max_length=200, blank=True)
    is_simulated = models.BooleanField(
        "simulated",
        default=False,
        db_default=False,
        help_text="No hardware stands behind it: test keys reach it. This stays as it is.",
    )

    security_profile = models.PositiveSmallIntegerField(
        choices=SecurityProfile,
        default=SecurityProfile.BASIC,
        help_text="What a connection must offer at least. Profile 0 lets anybody connect under this identity.",
    )
    password_digest = models.CharField(max_length=96, blank=True, editable=False)
    next_password_digest = models.CharField(max_length=96, blank=True, editable=False)
    assume_ocpp16 = models.BooleanField(
        "assume ocpp1.6", default=False, help_text="For hardware that offers no WebSocket subprotocol."
    )
    send_pings = models.BooleanField(default=True, help_text="Switch off for hardware that hangs up when pinged.")
    registration_status = models.CharField(
        max_length=8, choices=RegistrationStatus, default=RegistrationStatus.ACCEPTED
    )
    heartbeat_interval_override = models.PositiveIntegerField(
        "heartbeat interval", null=True, blank=True, help_text="Seconds; empty: the organization's."
    )

    vendor = models.CharField(max_length=255, blank=True)
    model = models.CharField(max_length=255, blank=True)
    serial_number = models.CharField(max_length=255, blank=True)
    charge_box_serial_number = models.CharField(max_length=255, blank=True)
    firmware_version = models.CharField(max_length=255, blank=True)
    iccid = models.CharField("ICCID", max_length=255, blank=True)
    imsi = models.CharField("IMSI", max_length=255, blank=True)
    meter_type = models.CharField(max_length=255, blank=True)
    meter_serial_number = models.CharField(max_length=255, blank=True)
    firmware_status = models.CharField(max_length=50, blank=True)
    diagnostics_status = models.CharField(max_length=50, blank=True)

    channel_name = models.CharField(max_length=100, blank=True, editable=False)
    online_until = models.DateTimeField(null=True, editable=False)
    connected_at = models.DateTimeField(null=True, blank=True, editable=False)
    disconnected_at = models.DateTimeField(null=True, blank=True, editable=False)
    address = models.CharField(max_length=45, blank=True, editable=False)
    last_boot_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ChargePointQuerySet.as_manager()

    class Meta:
        ordering = ["identity"]
        indexes = [
            models.Index(fields=["organization", "identity"]),
            # Not by db_index, which on PostgreSQL makes a second one for LIKE; every connection writes them all.
            # Byte by byte: the channels of a process begin alike.
            models.Index(fields=["channel_name"], name="charge_point_channels", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["vendor"], name="charge_point_vendor"),
            # Of few charge points: for those who look for the simulated ones among all.
            models.Index(
                fields=["organization", "identity"], condition=Q(is_simulated=True), name="charge_point_simulated"
            ),
        ]

    def __str__(self) -> str:
        return self.identity

    @classmethod
    def has_socket(cls) -> Case:
        """is_online, to annotate a query with; of the row itself: PostgreSQL would hash a subquery over all of them."""
        live = ~Q(channel_name="") & Q(online_until__gt=Now())
        return Case(When(live, then=models.Value(True)), default=models.Value(False))

    @property
    def is_online(self) -> bool:
        """Whether a socket is live: one is registered and its lease has not run out."""
        return ChargePoint.objects.online().filter(pk=self.pk).exists()

    @property
    def socket(self) -> str:
        """The channel of the socket that was live when the row was read, by the shared clock, or ''."""
        is_live = self.online_until is not None and self.online_until > clock.now()
        return self.channel_name if is_live else ""

    @property
    def heartbeat_interval(self) -> int:
        """Seconds between heartbeats that this charge point is told."""
        return self.heartbeat_interval_override or self.organization.heartbeat_interval

    def set_password(self, password: str) -> None:
        """Replace the password and require one from now on."""
        self.password_digest, self.next_password_digest = credentials.make_digest(password.encode()), ""
        self.security_profile = max(self.security_profile, SecurityProfile.BASIC)
        self.save(update_fields=["password_digest", "next_password_digest", "security_profile"])

    def offer_password(self, password: str) -> None:
        """Accept this password as well: the charge point is being told to use it, and may never say whether it does."""
        self.next_password_digest = credentials.make_digest(password.encode())
        self.save(update_fields=["next_password_digest"])

    def withdraw_password(self) -> None:
        """Accept only the password that is used already: the charge point refused the other."""
        ChargePoint.objects.filter(pk=self.pk).update(next_password_digest="")

    def check_password(self, password: bytes) -> bool:
        """Whether these are the bytes of the password, raw or in hex; one on offer becomes it by its first use."""
        if self.password_digest and credentials.check_digest(password, self.password_digest):
            return True
        offered = self.next_password_digest
        if not offered or not credentials.check_digest(password, offered):
            return False
        ChargePoint.objects.filter(pk=self.pk, next_password_digest=offered).update(
            password_digest=offered, next_password_digest=""
        )
        return True

    def delete(self, *args: Any, **kwargs: Any) -> Deleted:
        """As the query set deletes."""
        return ChargePoint.objects.filter(pk=self.pk).delete()

    def connect(self, channel_name: str, address: str) -> str:
        """Make this socket the one that commands reach; returns the channel of the socket that it replaces, or ''."""
        replaced = ChargePoint.objects.connect([(self.pk, channel_name, address)], patiently=True)
        if channel_name not in replaced:
            raise ChargePoint.DoesNotExist
        return replaced[channel_name]

    def disconnect(self, channel_name: str) -> bool:
        """Mark offline, unless a newer socket has taken over."""
        return ChargePoint.objects.disconnect(self.pk, channel_name)

    def change_availability(self, connector_id: int, availability: str, scheduled: bool = False) -> None:
        """Store an accepted ChangeAvailability; connector 0 stands for all connectors (OCPP 1.6 section 5.2)."""
        self.connectors.get_or_create(connector_id=connector_id)
        connectors = self.connectors.all()
        if connector_id:
            connectors = connectors.filter(connector_id=connector_id)
        if scheduled:
            connectors.update(scheduled_availability=availability)
            return
        connectors.update(availability=availability, scheduled_availability="")

    def apply_scheduled_availability(self, connector_id: int) -> None:
        """Let a scheduled change take effect: its connector's transaction has ended, or the last one of all."""
        waiting = self.connectors.exclude(scheduled_availability="")
        if self.transactions.filter(state="active").exists():
            waiting = waiting.filter(connector_id=connector_id)
        waiting.update(availability=F("scheduled_availability"), scheduled_availability="")
