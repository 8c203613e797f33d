"""The demo: what is made at the first start, and the life of its charge points on a real server."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.utils import timezone

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint, ConformanceFinding, Connector, IdTag, Transaction
from dynamo import demo
from ocpp16.models import Message
from tests.conftest import Servers, eventually

pytestmark = pytest.mark.django_db

IDENTITIES = ["DEMO-001", "DEMO-002", "DEMO-003", "DEMO-004", "DEMO-005"]


@pytest.fixture(autouse=True)
def data_directory(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


class TestProvision:
    def test_makes_an_organization_with_five_charge_points_and_a_key(self):
        made = demo.provision()
        assert made is not None
        assert (made.organization, list(made.identities), made.id_tag) == ("Demo", IDENTITIES, "DEMO-TAG-1")
        key = ApiKey.objects.find(made.api_key)
        assert key is not None
        assert (key.organization.name, key.scopes) == ("Demo", list(SCOPES))
        assert list(ChargePoint.objects.values_list("identity", flat=True)) == IDENTITIES
        assert demo.exists()

    def test_makes_a_dozen_id_tags_one_blocked_and_one_expired(self):
        demo.provision()
        statuses = [id_tag.authorization(timezone.now()).status for id_tag in IdTag.objects.all()]
        assert (len(statuses), statuses.count("Blocked"), statuses.count("Expired")) == (12, 1, 1)

    def test_keeps_the_passwords_where_only_the_owner_can_read_them(self, data_directory):
        demo.provision()
        path = data_directory / "demo.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        passwords = json.loads(path.read_text())
        assert list(passwords) == IDENTITIES
        assert len(set(passwords.values())) == 5
        for charge_point in ChargePoint.objects.all():
            assert charge_point.check_password(passwords[charge_point.identity].encode())

    def test_does_nothing_where_there_is_an_organization(self, organization, data_directory):
        assert demo.provision() is None
        assert list(Organization.objects.all()) == [organization]
        assert list(data_directory.iterdir()) == []
        assert not demo.exists()

    def test_leaves_nothing_behind_where_the_passwords_cannot_be_kept(self, settings):
        settings.DATA_DIR = Path("/proc")
        with pytest.raises(OSError, match="/proc"):
            demo.provision()
        assert not Organization.objects.exists()

    def test_is_gone_when_its_charge_points_are(self):
        demo.provision()
        ChargePoint.objects.all().delete()
        assert not demo.exists()


Fleet = Callable[[], Awaitable[asyncio.Task[None]]]


@pytest.fixture
async def start_fleet(servers: Servers) -> AsyncIterator[Fleet]:
    tasks: list[asyncio.Task[None]] = []

    async def start() -> asyncio.Task[None]:
        """Start the fleet and wait until all of it is online."""
        tasks.append(asyncio.create_task(demo.run_fleet(servers.ws_url)))
        await eventually(lambda: ChargePoint.objects.online().exclude(last_boot_at=None).count() == 5)
        return tasks[-1]

    yield start
    for task in tasks:
        await stop(task)


async def stop(fleet: asyncio.Task[None]) -> None:
    fleet.cancel()
    await asyncio.gather(fleet, return_exceptions=True)


async def remote_start(servers: Servers, made: demo.Demo) -> Transaction:
    """What the reader of the README does first."""
    headers = {"Authorization": f"Bearer {made.api_key}"}
    body = {"charge_point_id": made.identities[0], "id_tag": made.id_tag}
    async with httpx2.AsyncClient(base_url=servers.http_url, headers=headers, timeout=30) as client:
        answer = await client.post("/api/v1/ocpp16/remote_start_transaction", json=body)
    assert (answer.status_code, answer.json()["status"]) == (200, "Accepted")
    transactions = Transaction.objects.filter(charge_point__identity=made.identities[0], state="active")
    return await eventually(transactions.first)


class TestFleet:
    async def test_comes_online_and_tells_who_it_is(self, servers, start_fleet):
        demo.provision()
        await start_fleet()
        vendors = set(ChargePoint.objects.values_list("vendor", flat=True))
        assert vendors == {"Tarvik", "Brightmoor", "Hollins", "Quillon", "Veldmark"}

    async def test_the_first_charges_on_the_readers_command(self, servers, start_fleet):
        made = demo.provision()
        await start_fleet()
        transaction = await remote_start(servers, made)
        assert (transaction.id_tag, transaction.authorization_status) == ("DEMO-TAG-1", "Accepted")
        charging = Connector.objects.filter(charge_point__identity="DEMO-001", connector_id=1, status="Charging")
        await eventually(charging.exists)
        await eventually(lambda: Transaction.objects.get(pk=transaction.pk).energy_delivered_wh > 0, 30)

    async def test_ends_sessions_as_a_loss_of_power_when_it_starts_again(self, servers, start_fleet):
        made = demo.provision()
        fleet = await start_fleet()
        transaction = await remote_start(servers, made)
        await eventually(lambda: Connector.objects.filter(connector_id=1, status="Charging").exists())
        await stop(fleet)
        assert fleet.cancelled()
        await eventually(lambda: not ChargePoint.objects.online().exists())
        await start_fleet()
        ended = await eventually(Transaction.objects.filter(pk=transaction.pk, state="stopped").first)
        assert ended.stop_reason == "PowerLoss"
        assert ended.meter_stop >= transaction.meter_start

    async def test_departs_from_ocpp_in_nothing(self, servers, start_fleet):
        made = demo.provision()
        await start_fleet()
        await remote_start(servers, made)
        await eventually(Message.objects.filter(action="StartTransaction", kind=Message.Kind.CALL_RESULT).exists)
        assert not Message.objects.filter(kind__in=[Message.Kind.CALL_ERROR, Message.Kind.MALFORMED]).exists()
        assert not ConformanceFinding.objects.exists()
