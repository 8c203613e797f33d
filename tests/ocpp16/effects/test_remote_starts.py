"""Remote starts and the transactions that they cause."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.utils import timezone

from chargepoints.models import ChargingProfile, Transaction
from ocpp16.models import Command
from tests.conftest import eventually

PATH = "/api/v1/ocpp16"


@pytest.mark.parametrize("connector_id", [None, 1])
async def test_links_a_remote_start_to_its_transaction(command: Any, charge_point: Any, connector_id: Any) -> None:
    wanted = {"connector_id": connector_id} if connector_id else {}
    response = await command("remote_start_transaction", "Accepted", id_tag="App-1", **wanted)
    number = await charge_point.start("APP-1")
    assert Command.objects.get(pk=response.headers["X-Command-Id"]).transaction_id == number


async def test_keeps_the_profile_of_a_remote_start_for_its_transaction(command: Any, charge_point: Any) -> None:
    profile = {
        "chargingProfileId": 5,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7000}]},
    }
    await command("remote_start_transaction", "Accepted", id_tag="APP", charging_profile=profile)
    assert not ChargingProfile.objects.exists()
    number = await charge_point.start("APP", connector_id=2)
    kept = ChargingProfile.objects.get()
    assert (kept.connector_id, kept.charging_profile_id, kept.cleared_at) == (2, 5, None)
    await charge_point.stop(number)
    assert ChargingProfile.objects.get().cleared_at is not None


def test_says_whether_a_remote_start_was_linked(make_charge_point: Any) -> None:
    row = make_charge_point()
    times = {"started_at": timezone.now(), "id_tag": "APP", "meter_start": 0}
    first, second = (
        Transaction.objects.start(row, connector_id=number, authorization_status="Accepted", **times)[0]
        for number in (1, 2)
    )
    command = Command.objects.create(charge_point=row, action="RemoteStartTransaction", payload={"idTag": "APP"})
    assert command.link(first)
    assert not command.link(second)
    command.refresh_from_db()
    assert command.transaction == first


async def test_links_a_remote_start_to_one_transaction_only(command: Any, charge_point: Any) -> None:
    response = await command("remote_start_transaction", "Accepted", id_tag="APP")
    first = await charge_point.start("APP")
    await charge_point.start("APP", connector_id=2)
    linked = Command.objects.get(pk=response.headers["X-Command-Id"])
    assert linked.transaction_id == first


@pytest.mark.parametrize(
    ("answer", "tag", "connector_id"), [("Rejected", "APP", 1), ("Accepted", "CARD", 1), ("Accepted", "APP", 2)]
)
async def test_links_no_other_transaction(
    command: Any, charge_point: Any, answer: str, tag: str, connector_id: int
) -> None:
    await command("remote_start_transaction", answer, id_tag="APP", connector_id=1)
    await charge_point.start(tag, connector_id=connector_id)
    assert not Command.objects.exclude(transaction=None).exists()


async def test_starts_the_tag_of_a_remote_start_where_only_listed_ones_may_charge(
    command: Any, charge_point: Any, organization: Any
) -> None:
    organization.accept_unknown_id_tags = False
    organization.save()
    await command("remote_start_transaction", "Accepted", id_tag="APP", connector_id=1)
    await charge_point.start("APP")
    await charge_point.start("APP", connector_id=2)
    stored = Transaction.objects.order_by("connector_id").values_list("authorization_status", flat=True)
    assert list(stored) == ["Accepted", "Invalid"]


async def test_starts_a_session_by_a_remote_start_that_is_answered_too_late(
    api: Any, charge_point: Any, organization: Any
) -> None:
    organization.accept_unknown_id_tags = False
    organization.save()
    body = {"charge_point_id": charge_point.identity, "id_tag": "APP"}
    request = asyncio.create_task(api.post(f"{PATH}/remote_start_transaction", json=body))
    call = await charge_point.expect("RemoteStartTransaction")
    assert (await request).status_code == 408
    number = await charge_point.start("APP")
    await call.reply(status="Accepted")
    command = await eventually(lambda: Command.objects.filter(state="accepted").first())
    assert command.transaction_id == number
    assert Transaction.objects.get().authorization_status == "Accepted"
