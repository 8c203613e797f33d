"""Transactions whose stop never came, or came before their start: what may be concluded, and what may not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from chargepoints.models import (
    ChargePoint,
    ChargingProfile,
    Connector,
    ConnectorStatus,
    MeterValue,
    OrphanStop,
    Transaction,
)
from chargepoints.models.connector import Reported
from ocpp16 import reconciliation
from ocpp16.reconciliation import infer_stops, match_overtaken_stops
from tests.world import PROFILE

pytestmark = pytest.mark.django_db(transaction=True)


def ago(hours: float) -> datetime:
    return timezone.now() - timedelta(hours=hours)


@pytest.fixture
def row(make_charge_point: Callable[..., ChargePoint]) -> ChargePoint:
    """A charge point that has been online for a day."""
    row = make_charge_point()
    row.connect("ocpp16.socket", "127.0.0.1")
    ChargePoint.objects.filter(pk=row.pk).update(connected_at=ago(24))
    return row


def start(row: ChargePoint, hours: float = 5, connector_id: int = 1, **fields: Any) -> Transaction:
    """A transaction that began so many hours ago."""
    fields = {"id_tag": "TAG", "meter_start": 1000, "started_at": ago(hours), **fields}
    made, _ = Transaction.objects.start(row, connector_id=connector_id, authorization_status="Accepted", **fields)
    Transaction.objects.filter(pk=made.pk).update(start_received_at=ago(hours))
    return made


def report(row: ChargePoint, status: str, hours: float, received: float | None = None, connector_id: int = 1) -> None:
    """A StatusNotification of so many hours ago."""
    at = ago(hours)
    received_at = at if received is None else ago(received)
    told = Reported(row.pk, connector_id, status, "NoError", timestamp=at, received_at=received_at)
    ConnectorStatus.objects.report([told])


def measure(made: Transaction, energy: int, hours: float) -> None:
    samples = [{"value": str(energy)}]
    MeterValue.objects.create(
        charge_point=made.charge_point,
        transaction=made,
        connector_id=made.connector_id,
        timestamp=ago(hours),
        received_at=ago(hours),
        sampled_values=samples,
        fingerprint=uuid.uuid4(),
    )
    made.record_reading(energy, ago(hours))


def state(made: Transaction) -> str:
    return str(Transaction.objects.get(pk=made.pk).state)


def test_closes_at_the_last_reading_what_has_long_been_over(row: ChargePoint) -> None:
    made = start(row)
    report(row, "Charging", 5)
    measure(made, 4000, 4)
    report(row, "Available", 3)
    assert infer_stops() == 1
    made.refresh_from_db()
    assert (made.state, made.meter_stop, made.stopped_at) == ("inferred", 4000, made.latest_meter_at)
    assert infer_stops() == 0


def test_lets_a_genuine_stop_supersede(row: ChargePoint) -> None:
    made = start(row)
    report(row, "Available", 3)
    infer_stops()
    assert made.stop(7000, ago(3), "EVDisconnected")
    made.refresh_from_db()
    assert (made.state, made.meter_stop) == ("stopped", 7000)


def test_closes_a_replayed_start_that_came_after_the_status(row: ChargePoint) -> None:
    made = start(row, hours=2, started_at=ago(9))
    report(row, "Available", hours=8, received=2.1)
    assert infer_stops() == 1
    assert state(made) == "inferred"


def test_ends_what_waited_and_what_belonged_to_the_transaction(row: ChargePoint) -> None:
    start(row)
    report(row, "Available", 3)
    row.change_availability(1, "Inoperative", scheduled=True)
    ChargingProfile.objects.install(row, 1, {**PROFILE, "chargingProfilePurpose": "TxProfile"})
    infer_stops()
    connector = Connector.objects.get(charge_point=row, connector_id=1)
    assert (connector.availability, connector.scheduled_availability) == ("Inoperative", "")
    assert not ChargingProfile.objects.active().exists()


def no_status(row: ChargePoint) -> None:
    """The charge point has reported nothing of the connector."""


def still_charging(row: ChargePoint) -> None:
    report(row, "Charging", 3)


def available_before_the_start_only(row: ChargePoint) -> None:
    report(row, "Available", 6)


def available_for_minutes(row: ChargePoint) -> None:
    report(row, "Charging", 4)
    report(row, "Available", 0.5)


def available_and_in_use_again(row: ChargePoint) -> None:
    report(row, "Available", 4)
    report(row, "Charging", 0.5)


def another_connector_available(row: ChargePoint) -> None:
    report(row, "Available", 3, connector_id=2)


def offline(row: ChargePoint) -> None:
    report(row, "Available", 3)
    row.disconnect("ocpp16.socket")


def just_back(row: ChargePoint) -> None:
    report(row, "Available", 3)
    row.connect("ocpp16.newer", "127.0.0.1")


@pytest.mark.parametrize(
    "seen",
    [
        no_status,
        still_charging,
        available_before_the_start_only,
        available_for_minutes,
        available_and_in_use_again,
        another_connector_available,
        offline,
        just_back,
    ],
)
def test_concludes_nothing_from(row: ChargePoint, seen: Callable[[ChargePoint], None]) -> None:
    made = start(row)
    seen(row)
    assert infer_stops() == 0
    assert state(made) == "active"


def test_leaves_a_transaction_whose_register_moves(row: ChargePoint) -> None:
    made = start(row)
    report(row, "Available", 3)
    measure(made, 2000, 0.5)
    measure(made, 2100, 0.25)
    assert infer_stops() == 0
    assert state(made) == "active"


def test_closes_one_whose_readings_are_those_of_an_idle_meter(row: ChargePoint) -> None:
    made = start(row)
    report(row, "Available", 3)
    measure(made, 2000, 0.5)
    measure(made, 2000, 0.25)
    assert infer_stops() == 1
    assert state(made) == "inferred"


def test_closes_what_lies_behind_one_that_it_cannot_decide(row: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "BATCH", 1)
    charging, over = start(row), start(row, connector_id=2)
    for made in (charging, over):
        report(row, "Available", 3, connector_id=made.connector_id)
    measure(charging, 2000, 0.5)
    measure(charging, 2100, 0.25)
    assert infer_stops() == 1
    assert (state(charging), state(over)) == ("active", "inferred")


def orphan(row: ChargePoint, hours: float = 3, received: float = 6, **fields: Any) -> OrphanStop:
    """A stop of so many hours ago, which came before any start that it could mean."""
    fields = {"transaction_id_sent": 0, "meter_stop": 5000, "reason": "Local", "id_tag": "tag", **fields}
    return OrphanStop.objects.create(
        charge_point=row, stopped_at=ago(hours), received_at=ago(received), fingerprint=uuid.uuid4(), **fields
    )


def test_matches_a_stop_that_came_before_its_start(row: ChargePoint) -> None:
    stop, made = orphan(row), start(row)
    assert match_overtaken_stops() == 1
    made.refresh_from_db()
    stop.refresh_from_db()
    assert (made.state, made.meter_stop, made.stop_reason) == ("stopped", 5000, "Local")
    assert (made.stopped_at, stop.matched) == (stop.stopped_at, made)
    assert match_overtaken_stops() == 0


def test_gives_a_match_up_for_the_transactions_own_stop(row: ChargePoint) -> None:
    _, made = orphan(row), start(row)
    match_overtaken_stops()
    made.doubt_stop()
    assert state(made) == "inferred"


@pytest.mark.parametrize(
    "told",
    [
        {"id_tag": "OTHER"},
        {"meter_stop": 999},
        {"hours": 5.5},
        {"received": 4},
    ],
)
def test_does_not_match_a_stop_that(row: ChargePoint, told: dict[str, Any]) -> None:
    orphan(row, **told)
    made = start(row)
    assert match_overtaken_stops() == 0
    assert state(made) == "active"


def test_does_not_match_what_went_on_after_the_stop(row: ChargePoint) -> None:
    orphan(row)
    made = start(row)
    measure(made, 2000, 1)
    assert match_overtaken_stops() == 0


def test_does_not_choose_between_two_transactions(row: ChargePoint) -> None:
    orphan(row)
    start(row)
    start(row, connector_id=2)
    assert match_overtaken_stops() == 0


def test_does_not_choose_between_two_stops(row: ChargePoint) -> None:
    orphan(row)
    orphan(row, meter_stop=6000)
    start(row)
    assert match_overtaken_stops() == 0


def test_matches_what_lies_behind_one_that_it_cannot_decide(row: ChargePoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "BATCH", 1)
    orphan(row, meter_stop=500)
    stop, made = orphan(row), start(row)
    assert match_overtaken_stops() == 1
    stop.refresh_from_db()
    assert stop.matched == made
