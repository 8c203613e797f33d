"""An organization with a row of every kind, each of whose texts carries the organization's mark."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone

from apikeys.models import ApiKey, Membership, Organization
from chargepoints.models import (
    ChargePoint,
    ChargingProfile,
    ConformanceFinding,
    ConnectorStatus,
    Event,
    IdTag,
    MeterValue,
    Notification,
    OrphanStop,
    Reservation,
    SecurityEvent,
    Transaction,
    WebhookDelivery,
    WebhookEndpoint,
)
from chargepoints.models.connector import Reported
from ocpp16.models import BulkCommand, Command, Message, RefusedConnection

HOSTILE = "<script>alert(1)</script>"
PROFILE = {
    "chargingProfileId": 1,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxDefaultProfile",
    "chargingProfileKind": "Absolute",
}
SAMPLES = [
    {"value": "1500", "context": "Sample.Periodic"},
    {"value": "7.2", "measurand": "Power.Active.Import", "unit": "kW"},
    {"value": "16", "measurand": "Current.Import", "phase": "L1", "unit": "A"},
]


def staff(*organizations: Organization, permissions: Any = None, **fields: Any) -> User:
    """A staff user of these organizations, who may do everything unless `permissions` are given."""
    user = User.objects.create(**{"username": f"staff-{uuid.uuid4().hex[:8]}", "is_staff": True, **fields})
    user.user_permissions.set(Permission.objects.all() if permissions is None else permissions)
    for organization in organizations:
        Membership.objects.create(user=user, organization=organization)
    return user


def superuser() -> User:
    return staff(is_superuser=True)


def fill(mark: str) -> dict[type, Any]:
    """Make an organization marked `mark`; returns one row of every model that the admin shows, by model."""
    organization = Organization.objects.create(name=f"{mark} Energy")
    rows = [organization, *of_organization(organization, mark)]
    charge_point = next(row for row in rows if isinstance(row, ChargePoint))
    rows += of_charge_point(charge_point, mark)
    rows += of_webhooks(charge_point, mark)
    member = staff(organization, permissions=[], username=f"{mark}-member")
    rows += [member, Group.objects.get_or_create(name=f"{mark} group")[0], failed_login(mark)]
    return {type(row): row for row in rows}


def of_organization(organization: Organization, mark: str) -> list[Any]:
    return [
        ApiKey.objects.issue(organization, f"{mark} key", ["read:charge_points"])[0],
        IdTag.objects.create(organization=organization, id_tag=f"{mark}-TAG", description=HOSTILE),
        ChargePoint.objects.provision(
            organization, f"{mark}-CP", "secret-secret", vendor=f"{mark}{HOSTILE}", model="Wallbox", address="10.0.0.1"
        ),
    ]


def of_charge_point(charge_point: ChargePoint, mark: str) -> list[Any]:
    now, text = timezone.now(), f"{mark}{HOSTILE}"
    status = Reported(charge_point.pk, 1, "Faulted", "OtherError", now, now, info=text)
    ConnectorStatus.objects.report([status])
    ConformanceFinding.objects.record(charge_point.pk, f"{mark} finding", text, 2, now)
    transaction, _ = Transaction.objects.start(
        charge_point,
        connector_id=1,
        id_tag=f"{mark}-TAG",
        meter_start=1000,
        started_at=now - timedelta(hours=1),
        authorization_status="Accepted",
    )
    of_it: dict[str, Any] = {"charge_point": charge_point}
    return [
        charge_point.status_history.get(),
        transaction,
        meter_value(transaction, now),
        OrphanStop.objects.create(
            **of_it, transaction_id_sent=77, meter_stop=5, stopped_at=now, reason=text, fingerprint=uuid.uuid4()
        ),
        Reservation.objects.reserve(
            charge_point,
            5,
            connector_id=1,
            id_tag=f"{mark}-TAG",
            parent_id_tag="",
            expires_at=now + timedelta(hours=1),
        ),
        ChargingProfile.objects.install(charge_point, 1, {**PROFILE, "comment": text}),
        Notification.objects.create(**of_it, action="DataTransfer", payload={"data": text}),
        SecurityEvent.objects.create(**of_it, type="Tampering", technical_information=text),
        Command.objects.create(**of_it, action="Reset", payload={"type": text}, state="rejected", response={"a": text}),
        Message.objects.create(**of_it, direction="in", kind=0, frame=text),
        *of_bulk_command(charge_point, text),
        RefusedConnection.objects.create(identity=charge_point.identity, address="10.0.0.1", reason="wrong password"),
    ]


def of_bulk_command(charge_point: ChargePoint, text: str) -> list[Any]:
    payload, organization = {"type": text}, charge_point.organization
    bulk = BulkCommand.objects.order(
        [charge_point.pk], organization=organization, action="Reset", payload=payload, at_once=1, reason=text
    )
    bulk.end()
    return [bulk, bulk.targets.get()]


def of_webhooks(charge_point: ChargePoint, mark: str) -> list[Any]:
    of_it: dict[str, Any] = {"organization": charge_point.organization}
    url = f"https://{mark}.example/"
    endpoint, _ = WebhookEndpoint.objects.register(charge_point.organization, url, ["*"], f"{mark}{HOSTILE}")
    data = {"type": HOSTILE, "timestamp": "2024-03-10T15:57:00Z"}
    event = Event.objects.create(**of_it, charge_point=charge_point, type="security.event", data=data)
    attempt = {"started_at": "", "status_code": 500, "error": None, "answer": f"{mark}{HOSTILE}", "duration_ms": 1}
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint, event=event, charge_point=charge_point, attempts=[attempt]
    )
    return [endpoint, event, delivery]


def failed_login(mark: str) -> AccessAttempt:
    return AccessAttempt.objects.create(
        username=f"{mark}{HOSTILE}",
        ip_address="10.0.0.1",
        user_agent=f"{mark}{HOSTILE}",
        path_info="/admin/login/",
        failures_since_start=3,
    )


def meter_value(transaction: Transaction, timestamp: Any) -> MeterValue:
    return MeterValue.objects.create(
        charge_point=transaction.charge_point,
        transaction=transaction,
        connector_id=1,
        timestamp=timestamp,
        sampled_values=SAMPLES,
        fingerprint=uuid.uuid4(),
    )
