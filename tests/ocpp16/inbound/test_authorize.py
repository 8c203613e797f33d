"""Authorize: what an organization says of an id tag."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chargepoints.models import IdTag
from ocpp16.models import Command
from tests.charge_point import CallErrorReceived


async def ask(charge_point: Any, id_tag: str) -> Any:
    return (await charge_point.call("Authorize", {"idTag": id_tag}))["idTagInfo"]


def close(organization: Any) -> None:
    organization.accept_unknown_id_tags = False
    organization.save()


async def test_accepts_unknown_tags_by_default(charge_point: Any) -> None:
    assert await ask(charge_point, "04AF-77:1") == {"status": "Accepted"}


async def test_refuses_unknown_tags_where_only_listed_ones_may_charge(charge_point: Any, organization: Any) -> None:
    close(organization)
    assert await ask(charge_point, "STRANGER") == {"status": "Invalid"}


async def test_accepts_a_listed_tag_and_tells_its_group_and_expiry(charge_point: Any, organization: Any) -> None:
    close(organization)
    expires_at = datetime(2999, 1, 1, tzinfo=UTC)
    IdTag.objects.create(organization=organization, id_tag="A:1", parent_id_tag="FLEET", expires_at=expires_at)
    answer = await ask(charge_point, "A:1")
    assert answer == {"expiryDate": "2999-01-01T00:00:00Z", "parentIdTag": "FLEET", "status": "Accepted"}


async def test_refuses_a_blocked_tag(charge_point: Any, organization: Any) -> None:
    IdTag.objects.create(organization=organization, id_tag="BAD", status="Blocked")
    assert (await ask(charge_point, "BAD"))["status"] == "Blocked"


async def test_refuses_an_expired_tag(charge_point: Any, organization: Any) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    IdTag.objects.create(organization=organization, id_tag="OLD", expires_at=past)
    assert (await ask(charge_point, "OLD"))["status"] == "Expired"


async def test_compares_tags_without_case(charge_point: Any, organization: Any) -> None:
    IdTag.objects.create(organization=organization, id_tag="AbCd", status="Blocked")
    assert (await ask(charge_point, "aBcD"))["status"] == "Blocked"


async def test_knows_nothing_of_the_tags_of_others(
    charge_point: Any, organization: Any, other_organization: Any
) -> None:
    close(organization)
    IdTag.objects.create(organization=other_organization, id_tag="THEIRS")
    assert (await ask(charge_point, "THEIRS"))["status"] == "Invalid"


@pytest.mark.parametrize(("answer", "status"), [("Accepted", "Accepted"), ("Rejected", "Invalid")])
async def test_accepts_a_tag_only_after_an_accepted_remote_start(
    api: Any, charge_point: Any, organization: Any, answer: str, status: str
) -> None:
    close(organization)
    body = {"charge_point_id": charge_point.identity, "id_tag": "App-User"}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/remote_start_transaction", json=body))
    await (await charge_point.expect("RemoteStartTransaction")).reply(status=answer)
    await request
    assert (await ask(charge_point, "APP-USER"))["status"] == status
    assert (await ask(charge_point, "ANOTHER"))["status"] == "Invalid"


async def test_accepts_the_tag_of_a_remote_start_that_is_not_answered_yet(
    api: Any, charge_point: Any, organization: Any
) -> None:
    close(organization)
    body = {"charge_point_id": charge_point.identity, "id_tag": "APP"}
    request = asyncio.create_task(api.post("/api/v1/ocpp16/remote_start_transaction", json=body))
    call = await charge_point.expect("RemoteStartTransaction")
    assert (await ask(charge_point, "APP"))["status"] == "Accepted"
    await call.reply(status="Accepted")
    assert (await request).status_code == 200


async def test_forgets_a_remote_start_after_a_while(charge_point: Any, organization: Any, row: Any) -> None:
    close(organization)
    fields = {"charge_point": row, "action": "RemoteStartTransaction", "payload": {"idTag": "APP"}}
    command = Command.objects.create(**fields, state="accepted")
    assert (await ask(charge_point, "APP"))["status"] == "Accepted"
    Command.objects.filter(pk=command.pk).update(created_at=datetime.now(UTC) - timedelta(minutes=11))
    assert (await ask(charge_point, "APP"))["status"] == "Invalid"


async def test_refuses_an_over_long_tag(charge_point: Any) -> None:
    with pytest.raises(CallErrorReceived) as refused:
        await ask(charge_point, "T" * 21)
    assert refused.value.code == "PropertyConstraintViolation"
