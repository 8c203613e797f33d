"""`prune` deletes logs older than the retention and nothing that bills or still waits."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from chargepoints.models import (
    ChargePoint,
    ConnectorStatus,
    Event,
    MeterValue,
    Notification,
    OrphanStop,
    SecurityEvent,
    Transaction,
)
from ocpp16 import retention
from ocpp16.models import BulkCommand, Command, Message, RefusedConnection

MODELS = (
    Message,
    ConnectorStatus,
    Notification,
    SecurityEvent,
    OrphanStop,
    Command,
    BulkCommand,
    RefusedConnection,
    Event,
)


@pytest.fixture
def charge_point(make_charge_point: Callable[..., ChargePoint]) -> ChargePoint:
    return make_charge_point()


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def log(charge_point: ChargePoint, at: datetime) -> None:
    """One row of everything that is pruned, of that moment."""
    Message.objects.create(charge_point=charge_point, direction="in", kind=2, frame="[]", at=at)
    ConnectorStatus.objects.create(
        charge_point=charge_point, connector_id=1, status="Available", timestamp=at, received_at=at
    )
    Notification.objects.create(charge_point=charge_point, action="DataTransfer", received_at=at)
    SecurityEvent.objects.create(charge_point=charge_point, type="Tamper", received_at=at)
    orphan_stop(charge_point, at)
    command(charge_point, at, "accepted")
    bulk_command(charge_point, at)
    RefusedConnection.objects.create(identity=uuid.uuid4().hex, reason="unknown", first_at=at, last_at=at)
    Event.objects.create(
        organization=charge_point.organization, charge_point=charge_point, type="charge_point.booted", created_at=at
    )


def orphan_stop(charge_point: ChargePoint, at: datetime, matched: Transaction | None = None) -> None:
    OrphanStop.objects.create(
        charge_point=charge_point,
        transaction_id_sent=0,
        meter_stop=0,
        stopped_at=at,
        received_at=at,
        matched=matched,
        fingerprint=uuid.uuid4(),
    )


def command(charge_point: ChargePoint, at: datetime, state: str) -> Command:
    return Command.objects.create(charge_point=charge_point, action="Reset", payload={}, created_at=at, state=state)


def bulk_command(charge_point: ChargePoint, at: datetime | None) -> BulkCommand:
    of_it = {"organization": charge_point.organization, "action": "Reset", "payload": {}, "at_once": 1}
    return BulkCommand.objects.order([charge_point.pk], **of_it, ended_at=at)


def counts() -> list[int]:
    return [model._default_manager.count() for model in MODELS]


def run(**options: Any) -> str:
    out = StringIO()
    call_command("prune", stdout=out, **options)
    return out.getvalue()


def test_deletes_what_is_older_than_the_retention(charge_point: ChargePoint, settings: Any) -> None:
    settings.DYNAMO_RETENTION_DAYS = 30
    log(charge_point, days_ago(30.01))
    log(charge_point, days_ago(29.99))
    assert counts() == [2] * len(MODELS)
    out = run()
    assert counts() == [1] * len(MODELS)
    assert out.splitlines() == [
        "messages: 1 deleted",
        "connector status history: 1 deleted",
        "notifications: 1 deleted",
        "security events: 1 deleted",
        "orphan stops: 1 deleted",
        "commands: 1 deleted",
        "bulk commands: 1 deleted",
        "refused connections: 1 deleted",
        "events: 1 deleted",
    ]


def test_takes_another_number_of_days(charge_point: ChargePoint) -> None:
    log(charge_point, days_ago(3))
    run(days=4)
    assert counts() == [1] * len(MODELS)
    run(days=2)
    assert counts() == [0] * len(MODELS)


def test_keeps_an_event_for_as_long_as_it_is_sent(charge_point: ChargePoint) -> None:
    for days in (3, 2):
        log(charge_point, days_ago(days))
    run(days=1)
    assert [model for model in MODELS if model.objects.exists()] == [Event]
    assert Event.objects.get().created_at > days_ago(2.1)


@pytest.mark.parametrize("days", ["0", "-1", "soon", "1.5", "99999999"])
def test_refuses_an_impossible_number_of_days(charge_point: ChargePoint, days: str) -> None:
    log(charge_point, days_ago(1000))
    with pytest.raises(CommandError):
        call_command("prune", f"--days={days}")
    assert counts() == [1] * len(MODELS)


def test_keeps_commands_that_wait_for_their_answer(charge_point: ChargePoint) -> None:
    states = [str(state) for state in Command.State.values]
    for state in states:
        command(charge_point, days_ago(1000), state)
    run()
    assert {str(row.state) for row in Command.objects.all()} == {"queued", "sent"}


def test_keeps_transactions_and_meter_values(charge_point: ChargePoint, old_transaction: Transaction) -> None:
    run()
    assert Transaction.objects.filter(pk=old_transaction.pk).exists()
    assert MeterValue.objects.count() == 1


@pytest.fixture
def old_transaction(charge_point: ChargePoint) -> Transaction:
    at = days_ago(1000)
    transaction = Transaction.objects.create(
        charge_point=charge_point, connector_id=1, id_tag="TAG", meter_start=0, started_at=at, fingerprint=uuid.uuid4()
    )
    MeterValue.objects.create(
        charge_point=charge_point,
        transaction=transaction,
        connector_id=1,
        timestamp=at,
        received_at=at,
        sampled_values=[],
        fingerprint=uuid.uuid4(),
    )
    return transaction


def test_keeps_the_transaction_that_a_deleted_command_started(
    charge_point: ChargePoint, old_transaction: Transaction
) -> None:
    sent = command(charge_point, days_ago(1000), "accepted")
    sent.link(old_transaction)
    run()
    assert not Command.objects.exists()
    assert Transaction.objects.filter(pk=old_transaction.pk).exists()


def test_deletes_in_batches(
    charge_point: ChargePoint, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    rows = [
        Message(charge_point=charge_point, direction="in", kind=2, frame="[]", at=days_ago(1000)) for _ in range(25)
    ]
    Message.objects.bulk_create(rows)
    with django_assert_max_num_queries(40) as queries:
        assert "messages: 25 deleted" in run()
    deletions = [query["sql"] for query in queries.captured_queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 3


def test_deletes_old_events_in_batches(charge_point: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    old, new = days_ago(1000), days_ago(1)
    Event.objects.bulk_create(
        Event(
            organization=charge_point.organization, charge_point=charge_point, type="charge_point.booted", created_at=at
        )
        for at in [old] * 25 + [new] * 25
    )
    assert "events: 25 deleted" in run()
    assert Event.objects.count() == 25
