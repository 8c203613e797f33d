"""Commands about settings, tags, files and firmware, from a central system that is not ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from ocpp.exceptions import NotImplementedError as OcppNotImplemented
from ocpp.v16 import call

from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.errands import next_version
from ocpp16.simulator.makes import MAKES
from tests.ocpp16.central_system import CentralSystem, running_central_system, simulated, start

pytestmark = pytest.mark.without_services

ONE_CONNECTOR, TWO_CONNECTORS, SINGLE_PHASE, RAPID, HIGH_POWER = MAKES


@pytest.fixture
async def charge_point(central_system: CentralSystem) -> AsyncIterator[ChargePoint]:
    """Two connectors, idle."""
    async with simulated(central_system, TWO_CONNECTORS) as running:
        yield running


class TestConfiguration:
    async def test_tells_known_and_unknown_keys(self, central_system, charge_point):
        answer = await central_system.command(
            call.GetConfiguration(["heartbeatinterval", "NumberOfConnectors", "Nope"])
        )
        assert answer.configuration_key == [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "NumberOfConnectors", "readonly": True, "value": "2"},
        ]
        assert answer.unknown_key == ["Nope"]

    async def test_tells_all_keys_if_none_is_named(self, central_system, charge_point):
        answer = await central_system.command(call.GetConfiguration())
        assert len(answer.configuration_key) > 30
        assert not answer.unknown_key

    @pytest.mark.parametrize(
        ("key", "value", "status"),
        [
            ("HeartbeatInterval", "60", "Accepted"),
            ("HeartbeatInterval", "soon", "Rejected"),
            ("MeterValuesSampledData", "Frequency", "Rejected"),
            ("NumberOfConnectors", "3", "Rejected"),
            ("WebSocketPingInterval", "30", "RebootRequired"),
            ("Nope", "1", "NotSupported"),
        ],
    )
    async def test_answers_a_change_by_the_key(self, central_system, charge_point, key, value, status):
        assert (await central_system.command(call.ChangeConfiguration(key, value))).status == status

    async def test_a_change_that_needs_a_reboot_shows_after_it(self, central_system, charge_point):
        await central_system.command(call.ChangeConfiguration("WebSocketPingInterval", "33"))
        assert await self.value(central_system, "WebSocketPingInterval") == "20"
        await central_system.command(call.Reset("Hard"))
        await central_system.expect("BootNotification")
        assert await self.value(central_system, "WebSocketPingInterval") == "33"

    @staticmethod
    async def value(central_system, key):
        return (await central_system.command(call.GetConfiguration([key]))).configuration_key[0]["value"]

    async def test_heartbeats_follow_the_interval(self, central_system, charge_point):
        await central_system.command(call.ChangeConfiguration("HeartbeatInterval", "1"))
        await central_system.expect("Heartbeat")
        await central_system.expect("Heartbeat")

    async def test_meter_values_follow_the_interval_of_a_running_session(self, central_system, charge_point):
        transaction_id = await start(central_system)
        await central_system.command(call.ChangeConfiguration("MeterValueSampleInterval", "1"))
        await central_system.expect("MeterValues", transaction_id=transaction_id)
        await central_system.expect("MeterValues", transaction_id=transaction_id)
        await central_system.expect("MeterValues", transaction_id=transaction_id)


async def test_clear_cache_forgets_the_tags(central_system, charge_point):
    await start(central_system, "TAG")
    charge_point.configuration["LocalPreAuthorize"] = "true"
    assert charge_point.authorizations.without_asking("tag")
    assert (await central_system.command(call.ClearCache())).status == "Accepted"
    assert not charge_point.authorizations.without_asking("tag")


@pytest.mark.parametrize(
    ("vendor", "message", "status", "data"),
    [
        ("Brightmoor", "Echo", "Accepted", "hello"),
        ("Brightmoor", "Nope", "UnknownMessageId", None),
        ("Somebody", "Echo", "UnknownVendorId", None),
    ],
)
async def test_data_transfer_knows_its_own_vendor(central_system, charge_point, vendor, message, status, data):
    answer = await central_system.command(call.DataTransfer(vendor, message, "hello"))
    assert (answer.status, answer.data) == (status, data)


async def test_get_diagnostics_names_a_file_and_uploads_it(central_system, charge_point):
    answer = await central_system.command(call.GetDiagnostics("ftp://127.0.0.1/"))
    assert answer.file_name.startswith("SIM-1-")
    await central_system.expect("DiagnosticsStatusNotification", status="Uploading")
    await central_system.expect("DiagnosticsStatusNotification", status="Uploaded")


async def test_update_firmware_installs_and_boots_with_the_new_version(central_system, charge_point):
    location = "https://127.0.0.1/duo-5.1.0.bin"
    await central_system.command(call.UpdateFirmware(location, datetime.now(UTC).isoformat()))
    for status in ("Downloading", "Downloaded", "Installing", "Installed"):
        await central_system.expect("FirmwareStatusNotification", status=status)
    booted = await central_system.expect("BootNotification")
    assert booted["firmware_version"] == "5.1.0"


@pytest.mark.parametrize(
    ("location", "version"),
    [
        ("ftp://127.0.0.1/duo-5.1.0.bin", "5.1.0"),
        ("ftp://10.0.0.1/9.9/latest.bin", "5.0.4"),
        ("https://127.0.0.1/6.0", "6.0"),
    ],
)
def test_a_firmware_takes_its_version_from_the_file_name_or_counts(location, version):
    assert next_version("5.0.3", location) == version


async def test_local_list_is_kept_by_version(central_system, charge_point):
    async def send(version: int, update_type: str, entries: list[dict[str, Any]]) -> str:
        return (await central_system.command(call.SendLocalList(version, update_type, entries))).status

    good = {"id_tag": "TAG", "id_tag_info": {"status": "Accepted"}}
    assert (await central_system.command(call.GetLocalListVersion())).list_version == 0
    assert await send(5, "Full", [good]) == "Accepted"
    assert await send(5, "Differential", [good]) == "VersionMismatch"
    assert await send(6, "Differential", [{"id_tag": "TAG"}]) == "Accepted"
    assert (await central_system.command(call.GetLocalListVersion())).list_version == 6
    assert await send(7, "Full", [{**good, "id_tag": f"T{number}"} for number in range(101)]) == "Failed"


async def test_a_listed_tag_need_not_be_authorized(central_system, charge_point):
    good = {"id_tag": "LISTED", "id_tag_info": {"status": "Accepted"}}
    await central_system.command(call.SendLocalList(1, "Full", [good]))
    await central_system.command(call.ChangeConfiguration("LocalPreAuthorize", "true"))
    await start(central_system, "LISTED")
    assert central_system.sent("Authorize") == []


async def test_the_security_extension_is_not_implemented(central_system):
    async with running_central_system() as other, simulated(other, ONE_CONNECTOR):
        with pytest.raises(OcppNotImplemented):
            await other.command(call.GetInstalledCertificateIds("ManufacturerRootCertificate"))
