"""What the commands set going: each runs beside the conversation, after the answer has left."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ocpp.v16 import call
from ocpp.v16.enums import DiagnosticsStatus, FirmwareStatus

from .connector import Connector
from .makes import now
from .transaction import Transaction

if TYPE_CHECKING:
    from .charge_point import ChargePoint

SECONDS_TO_PLUG_IN = 1.5
SECONDS_TO_UPLOAD = 5.0
SECONDS_TO_DOWNLOAD = 8.0
SECONDS_TO_INSTALL = 10.0
LONGEST_DRAIN = 10.0


async def remote_start(connector: Connector, claim: object, id_tag: str, profile: dict[str, Any] | None) -> None:
    """Authorize, let a vehicle plug in, and begin, unless the connector meanwhile lost the claim."""
    charge_point = connector.charge_point
    asks = charge_point.configuration.boolean("AuthorizeRemoteTxRequests")
    authorized = not asks or await charge_point.authorize(id_tag)
    if authorized and connector.claim is claim and connector.vehicle is None:
        connector.show("Preparing")
        await charge_point.pause(SECONDS_TO_PLUG_IN)
    if connector.claim is not claim:
        return
    connector.claim = None
    if authorized:
        connector.vehicle = connector.vehicle or charge_point.arriving_vehicle()
        connector.begin(id_tag, profile)


async def begin(connector: Connector, id_tag: str) -> None:
    """Ask whether the tag may charge, and begin, unless the vehicle at the connector has left meanwhile."""
    vehicle = connector.vehicle
    authorized = await connector.charge_point.authorize(id_tag)
    if authorized and connector.vehicle is vehicle and connector.admits(id_tag):
        connector.begin(id_tag)


async def stop_by(connector: Connector, transaction: Transaction, id_tag: str) -> None:
    """End a session by the tag that began it, or by one of its group (OCPP 1.6 section 4.8)."""
    charge_point, own = connector.charge_point, transaction.id_tag
    if id_tag.lower() != own.lower():
        authorized, parent = await charge_point.authorize(id_tag), charge_point.authorizations.parent
        if not authorized or parent(id_tag) is None or parent(id_tag) != parent(own):
            return
    connector.end("Local", id_tag, only=transaction)


async def go_offline(charge_point: ChargePoint, seconds: float) -> None:
    """Hang up, in order, so that nothing that was answered gets lost; and dial again so much later."""
    charge_point.report(f"goes offline for {seconds} s")
    charge_point.seconds_offline = seconds
    if charge_point.socket is not None:
        await charge_point.socket.close(1001)


async def reset(charge_point: ChargePoint, hard: bool) -> None:
    """End the sessions and reboot; a soft reset first lets the central system hear of it."""
    for connector in charge_point.connectors:
        connector.end("HardReset" if hard else "SoftReset")
    if not hard:
        await charge_point.outbox.drained(LONGEST_DRAIN)
    await charge_point.reboot()


async def trigger(charge_point: ChargePoint, message: str, number: int | None) -> None:
    """Send what TriggerMessage asks for; of all connectors if it names none."""
    if message == "BootNotification":
        charge_point.post(charge_point.boot_notification, charge_point.booted, urgent=True)
    elif message == "StatusNotification":
        trigger_statuses(charge_point, number)
    elif message == "MeterValues":
        for connector in charge_point.connectors:
            if number in (None, 0, connector.number):
                connector.send_meter_values("Trigger")
    else:
        charge_point.post(PLAIN_TRIGGERS[message], urgent=True)


PLAIN_TRIGGERS = {
    "Heartbeat": call.Heartbeat,
    "DiagnosticsStatusNotification": lambda: call.DiagnosticsStatusNotification(DiagnosticsStatus.idle),
    "FirmwareStatusNotification": lambda: call.FirmwareStatusNotification(FirmwareStatus.idle),
}


def trigger_statuses(charge_point: ChargePoint, number: int | None) -> None:
    if number in (None, 0):
        charge_point.notify(None, urgent=True)
    for connector in charge_point.connectors:
        if number in (None, connector.number):
            charge_point.notify(connector, urgent=True)


async def upload_diagnostics(charge_point: ChargePoint) -> None:
    charge_point.post(lambda: call.DiagnosticsStatusNotification(DiagnosticsStatus.uploading))
    await charge_point.pause(SECONDS_TO_UPLOAD)
    charge_point.post(lambda: call.DiagnosticsStatusNotification(DiagnosticsStatus.uploaded))


async def update_firmware(charge_point: ChargePoint, location: str, retrieve_date: datetime) -> None:
    """Download and install at the time that was asked for, but not under a running session; then reboot."""
    await charge_point.pause(max(0.0, (retrieve_date - now()).total_seconds()))
    await _progress(charge_point, FirmwareStatus.downloading, SECONDS_TO_DOWNLOAD)
    await _progress(charge_point, FirmwareStatus.downloaded, 1.0)
    for connector in charge_point.connectors:
        if connector.transaction is not None:
            await connector.transaction.ended.wait()
    await _progress(charge_point, FirmwareStatus.installing, SECONDS_TO_INSTALL)
    await _progress(charge_point, FirmwareStatus.installed, 1.0)
    await charge_point.outbox.drained(LONGEST_DRAIN)
    charge_point.firmware = next_version(charge_point.firmware, location)
    await charge_point.reboot()


async def _progress(charge_point: ChargePoint, status: FirmwareStatus, seconds: float) -> None:
    charge_point.report(f"firmware {status.value}")
    charge_point.post(lambda: call.FirmwareStatusNotification(status))
    await charge_point.pause(seconds)


def next_version(installed: str, location: str) -> str:
    """The version that the location's file name tells, or else the next one."""
    told = re.findall(r"\d+(?:\.\d+)+", location.rsplit("/", 1)[-1])
    if told:
        return told[-1][:50]
    *rest, last = installed.split(".")
    return ".".join([*rest, str(int(last) + 1)])
