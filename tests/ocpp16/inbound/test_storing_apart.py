"""What comes with a transaction and cannot be stored costs neither its start nor its stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from chargepoints.models import ChargingProfile, MeterValue, Transaction
from ocpp16.models import Command
from ocpp16.transactions import store_apart

HUGE = 2**62 - 1
READING = {"timestamp": "2026-01-01T10:30:00Z", "sampledValue": [{"value": "700"}]}
PROFILE = {
    "chargingProfileId": 2**70,
    "stackLevel": 0,
    "chargingProfilePurpose": "TxProfile",
    "chargingProfileKind": "Relative",
    "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7000}]},
}
REFUSE = {
    "sqlite": [
        "CREATE TRIGGER refuse BEFORE INSERT ON chargepoints_metervalue BEGIN SELECT RAISE(FAIL, 'refused'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER refuse BEFORE INSERT ON chargepoints_metervalue FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}
PERMIT = {"sqlite": ["DROP TRIGGER refuse"], "postgresql": ["DROP FUNCTION refuse() CASCADE"]}


def execute(statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def refused_readings(servers: Any) -> Iterator[None]:
    """A database that takes no meter values."""
    execute(REFUSE[connection.vendor])
    yield
    execute(PERMIT[connection.vendor])


async def test_stops_though_its_readings_cannot_be_stored(
    charge_point: Any, refused_readings: None, finding: Any
) -> None:
    number = await charge_point.start()
    assert await charge_point.stop(number, 900, transactionData=[READING]) == {}
    stored = Transaction.objects.get()
    assert (stored.state, stored.meter_stop, stored.latest_meter_value) == ("stopped", 900, None)
    assert not MeterValue.objects.exists()
    assert await finding("StopTransaction.transactionData")


async def test_stops_though_its_phases_add_up_to_no_possible_energy(charge_point: Any) -> None:
    number = await charge_point.start()
    phases = [{"value": str(HUGE), "phase": phase} for phase in ("L1", "L2", "L3")]
    await charge_point.stop(number, 900, transactionData=[{**READING, "sampledValue": phases}])
    stored = Transaction.objects.get()
    assert (stored.state, stored.meter_stop, stored.latest_meter_value) == ("stopped", 900, None)
    assert MeterValue.objects.get().sampled_values == phases


async def test_starts_though_the_profile_of_its_remote_start_cannot_be_stored(charge_point: Any, row: Any) -> None:
    payload = {"idTag": "APP", "chargingProfile": PROFILE}
    command = Command.objects.create(
        charge_point=row, action="RemoteStartTransaction", payload=payload, state=Command.State.ACCEPTED
    )
    number = await charge_point.start("APP")
    command.refresh_from_db()
    assert command.transaction_id == number
    assert not ChargingProfile.objects.exists()


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_stores_nothing_while_the_database_is_away(db: None, error: type[Exception]) -> None:
    def fail() -> None:
        raise error("the connection is closed")

    with pytest.raises(error):
        store_apart(fail)


def test_says_whether_it_was_stored(organization: Any) -> None:
    assert store_apart(organization.save)
    organization.pk = "not a number"
    assert not store_apart(organization.save)
