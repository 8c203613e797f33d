"""A process whose clock is an hour off decides as the others do: what expires does so by the database's clock."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from apikeys.models import ApiKey
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint, IdTag, Reservation, Transaction
from ocpp16.models import Command, Message
from ocpp16.retention import prune
from ocpp16.serializers import ReserveNowSerializer
from tests.dynamo.test_logins import fail, quick_hashes  # noqa: F401  a fixture

from .asking import handled

pytestmark = pytest.mark.django_db(transaction=True)

HALF_AN_HOUR = timedelta(minutes=30)
RESET = {"action": "Reset", "payload": {"type": "Soft"}}
real_now = timezone.now


@pytest.fixture(params=[1, -1], ids=["fast", "slow"])
def wrong_clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Our clock, off from here on; `undo()` for another process, whose clock is right."""
    monkeypatch.setattr(timezone, "now", lambda: real_now() + timedelta(hours=request.param))
    return monkeypatch


def sent_by(charge_point: Any) -> Command:
    command = Command.objects.create(charge_point=charge_point, **RESET)
    assert Command.objects.claim(command.pk) is not None
    return command


def test_a_charge_point_is_online_as_long_as_its_lease(make_charge_point: Any, wrong_clock: Any) -> None:
    row = make_charge_point()
    row.connect("ocpp16.x", "127.0.0.1")
    assert row.is_online
    wrong_clock.undo()
    assert row.is_online
    row.refresh_from_db()
    assert abs(row.connected_at - real_now()) < HALF_AN_HOUR


def test_a_sign_of_life_is_dated_when_it_came(make_charge_point: Any, wrong_clock: Any) -> None:
    row = make_charge_point()
    ChargePoint.objects.record_life({row.pk: time.monotonic() - 90})
    row.refresh_from_db()
    assert abs(row.last_seen_at - real_now() + timedelta(seconds=90)) < timedelta(seconds=30)


def test_calls_count_in_the_second_in_which_they_left(make_charge_point: Any, wrong_clock: Any) -> None:
    row = make_charge_point()
    sent_by(row)
    assert len(Command.objects.sent_within([row.pk], 60)[row.pk]) == 1
    wrong_clock.undo()
    ages = Command.objects.sent_within([row.pk], 60)[row.pk]
    assert len(ages) == 1
    assert 0 <= ages[0] < 60


def test_a_command_in_flight_is_not_forgotten(make_charge_point: Any, wrong_clock: Any) -> None:
    row = make_charge_point()
    commands = [Command.objects.create(charge_point=row, **RESET), sent_by(row)]
    assert Command.objects.end_forgotten() == 0
    wrong_clock.undo()
    assert Command.objects.end_forgotten() == 0
    assert Command.objects.unfinished().count() == len(commands)


def test_a_remote_start_authorizes_its_tag(make_charge_point: Any, wrong_clock: Any) -> None:
    row = make_charge_point()
    payload = {"idTag": "TAG", "connectorId": 1}
    Command.objects.create(charge_point=row, action="RemoteStartTransaction", payload=payload, state="accepted")
    assert Command.objects.remote_starts([row.pk])
    wrong_clock.undo()
    assert Command.objects.remote_starts([row.pk])


def test_logs_are_pruned_when_they_are_old_enough(make_charge_point: Any, wrong_clock: Any) -> None:
    limit = real_now() - timedelta(days=settings.DYNAMO_RETENTION_DAYS)
    for age in (HALF_AN_HOUR, -HALF_AN_HOUR):
        log = {"direction": "in", "kind": 2, "frame": "[]", "at": limit - age}
        Message.objects.create(charge_point=make_charge_point(), **log)
    assert prune() == 1
    assert Message.objects.get().at > limit


def test_keys_and_tags_expire_when_they_should(organization: Any, make_charge_point: Any, wrong_clock: Any) -> None:
    for moment, is_valid in ((real_now() + HALF_AN_HOUR, True), (real_now() - HALF_AN_HOUR, False)):
        key = ApiKey.objects.issue(organization, "test", SCOPES, expires_at=moment)[1]
        assert (ApiKey.objects.find(key) is not None) == is_valid
        tag = IdTag.objects.create(organization=organization, id_tag=f"TAG-{is_valid}", expires_at=moment)
        row = make_charge_point(owner=organization)
        answer = handled(row, "Authorize", {"idTag": tag.id_tag})
        assert answer["idTagInfo"]["status"] == ("Accepted" if is_valid else "Expired")


def test_charge_points_are_told_the_right_time(make_charge_point: Any, wrong_clock: Any) -> None:
    payload = handled(make_charge_point(), "Heartbeat", {})
    assert abs(datetime.fromisoformat(payload["currentTime"]) - real_now()) < HALF_AN_HOUR


def test_a_reservation_must_end_in_the_future(make_charge_point: Any, wrong_clock: Any) -> None:
    body = {"charge_point_id": "CP", "connector_id": 1, "id_tag": "TAG", "reservation_id": 1}
    for moment, is_valid in ((real_now() + HALF_AN_HOUR, True), (real_now() - HALF_AN_HOUR, False)):
        assert ReserveNowSerializer(data={**body, "expiry_date": moment.isoformat()}).is_valid() == is_valid
        reservation = Reservation(expires_at=moment)
        assert reservation.current_state == ("active" if is_valid else "expired")


def test_a_session_lasts_from_its_start_to_now(make_charge_point: Any, wrong_clock: Any) -> None:
    assert Transaction(started_at=real_now()).duration_seconds < 60
    assert abs(Transaction(started_at=real_now() - HALF_AN_HOUR).duration_seconds - 1800) < 60


@pytest.mark.parametrize("state", ["timed_out", "lost"])
def test_a_command_ends_after_it_was_made(make_charge_point: Any, wrong_clock: Any, state: str) -> None:
    command = Command.objects.create(charge_point=make_charge_point(), **RESET)
    assert command.end(state)
    assert command.ended_at is not None
    command.refresh_from_db()
    assert timedelta() <= command.ended_at - command.created_at < HALF_AN_HOUR


def test_a_lockout_counts_the_failures_of_every_process_and_ends_in_time(db: None, wrong_clock: Any) -> None:
    assert fail(9).status_code == 200
    wrong_clock.undo()
    locked = fail(1)
    assert locked.status_code == 429
    assert 890 <= int(locked.headers["Retry-After"]) <= 900
