"""A small central system on the `ocpp` package, none of it ours: what the simulator must get along with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import on
from ocpp.v16 import ChargePoint as OcppChargePoint
from ocpp.v16 import call, call_result
from ocpp.v16.enums import Action
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ocpp16.simulator.charge_point import ChargePoint
from ocpp16.simulator.fleet import run
from ocpp16.simulator.makes import MAKES, Make

DEADLINE = 15


class Conversation(OcppChargePoint):
    """The central system's side of one connection; frames that break OCPP's schemas get a CALLERROR."""

    def __init__(self, central_system: CentralSystem, socket: ServerConnection) -> None:
        super().__init__(socket.request.path.rsplit("/", 1)[-1], socket, DEADLINE)
        self.central_system = central_system

    async def route_message(self, raw_msg: str) -> None:
        self.central_system.frames.append(raw_msg)
        await super().route_message(raw_msg)

    async def _send(self, message: str) -> None:
        if message.startswith("[4,"):
            self.central_system.call_errors.append(message)
        try:
            await super()._send(message)
        except ConnectionClosed:
            # An answer that comes too late ends nothing: what came before the close is still to be read.
            if message.startswith("[2,"):
                raise

    def answer(self, action: str, result: Any, payload: dict[str, Any]) -> Any:
        self.central_system.record(action, payload)
        return result

    @on(Action.boot_notification)
    def boot(self, **payload: Any) -> Any:
        status = self.central_system.registration
        result = call_result.BootNotification(datetime.now(UTC).isoformat(), self.central_system.interval, status)
        return self.answer("BootNotification", result, payload)

    @on(Action.heartbeat)
    def heartbeat(self, **payload: Any) -> Any:
        return self.answer("Heartbeat", call_result.Heartbeat(datetime.now(UTC).isoformat()), payload)

    @on(Action.authorize)
    def authorize(self, **payload: Any) -> Any:
        result = call_result.Authorize(self.central_system.id_tag_info(payload["id_tag"]))
        return self.answer("Authorize", result, payload)

    @on(Action.start_transaction)
    def start_transaction(self, **payload: Any) -> Any:
        self.central_system.transactions += 1
        info = self.central_system.id_tag_info(payload["id_tag"])
        result = call_result.StartTransaction(self.central_system.transactions, info)
        return self.answer("StartTransaction", result, payload)

    @on(Action.stop_transaction)
    def stop_transaction(self, **payload: Any) -> Any:
        return self.answer("StopTransaction", call_result.StopTransaction(), payload)

    @on(Action.meter_values)
    def meter_values(self, **payload: Any) -> Any:
        return self.answer("MeterValues", call_result.MeterValues(), payload)

    @on(Action.status_notification)
    def status_notification(self, **payload: Any) -> Any:
        return self.answer("StatusNotification", call_result.StatusNotification(), payload)

    @on(Action.firmware_status_notification)
    def firmware_status(self, **payload: Any) -> Any:
        return self.answer("FirmwareStatusNotification", call_result.FirmwareStatusNotification(), payload)

    @on(Action.diagnostics_status_notification)
    def diagnostics_status(self, **payload: Any) -> Any:
        return self.answer("DiagnosticsStatusNotification", call_result.DiagnosticsStatusNotification(), payload)


class CentralSystem:
    """Records what charge points send, in order; answers as its attributes say."""

    def __init__(self) -> None:
        self.url = ""
        self.registration = "Accepted"
        self.interval = 300
        self.transactions = 1000
        self.tags: dict[str, dict[str, str]] = {}
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.frames: list[str] = []
        self.call_errors: list[str] = []
        self.sockets: list[ServerConnection] = []
        self.conversation: Conversation | None = None
        self._seen = 0
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def id_tag_info(self, id_tag: str) -> dict[str, str]:
        return self.tags.get(id_tag, {"status": "Accepted"})

    def record(self, action: str, payload: dict[str, Any]) -> None:
        self.received.append((action, payload))
        task = asyncio.get_running_loop().create_task(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def converse(self, socket: ServerConnection) -> None:
        self.sockets.append(socket)
        self.conversation = Conversation(self, socket)
        await self._notify()
        try:
            await self.conversation.start()
        except ConnectionClosed:
            pass
        finally:
            if self.conversation is not None and self.conversation._connection is socket:
                self.conversation = None

    async def expect(self, action: str, **fields: Any) -> dict[str, Any]:
        """Wait for the next message of this action with these fields, after the one expected before."""

        def found() -> bool:
            for index in range(self._seen, len(self.received)):
                name, payload = self.received[index]
                if name == action and all(payload.get(field) == value for field, value in fields.items()):
                    self._seen = index + 1
                    return True
            return False

        async with self._news:
            try:
                await asyncio.wait_for(self._news.wait_for(found), DEADLINE)
            except TimeoutError:
                news = self.received[self._seen :]
                raise AssertionError(f"no {action} with {fields}; since then came {news}") from None
        return self.received[self._seen - 1][1]

    async def command(self, payload: Any, **options: Any) -> Any:
        """Send a command and return its answer; a CALLERROR raises."""
        assert self.conversation is not None
        return await self.conversation.call(payload, suppress=False, **options)

    def sent(self, action: str) -> list[dict[str, Any]]:
        """The payloads of all messages of this action so far."""
        return [payload for name, payload in self.received if name == action]


@asynccontextmanager
async def running_central_system(port: int = 0) -> AsyncIterator[CentralSystem]:
    """A central system that listens on the loopback."""
    central_system = CentralSystem()
    options = {"subprotocols": [Subprotocol("ocpp1.6")], "close_timeout": 1}
    async with serve(central_system.converse, "127.0.0.1", port, **options) as server:
        central_system.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp16"
        yield central_system


@asynccontextmanager
async def simulated(
    central_system: CentralSystem, make: Make = MAKES[0], scenario: str = "idle", **options: Any
) -> AsyncIterator[ChargePoint]:
    """A simulated charge point that has booted; at the end all that it sent must have fitted OCPP's schemas."""
    options = {"speed": 20.0, "longest_wait": 0.3, **options}
    charge_point = ChargePoint(central_system.url, "SIM-1", make=make, **options)
    task = asyncio.create_task(run(charge_point, scenario))
    try:
        await central_system.expect("StatusNotification", connector_id=make.connectors)
        yield charge_point
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert central_system.call_errors == []


async def start(central_system: CentralSystem, id_tag: str = "TAG", connector_id: int | None = 1, **fields: Any) -> int:
    """Start a session from the central system; returns its transaction id once it charges."""
    answer = await central_system.command(call.RemoteStartTransaction(id_tag, connector_id, **fields))
    assert answer.status == "Accepted"
    await central_system.expect("StartTransaction", id_tag=id_tag)
    await central_system.expect("StatusNotification", status="Charging")
    return central_system.transactions


def profile(limit: float = 4_000, **fields: Any) -> dict[str, Any]:
    """A ChargingProfile in W, without end."""
    return {
        "charging_profile_id": 1,
        "stack_level": 0,
        "charging_profile_purpose": "TxDefaultProfile",
        "charging_profile_kind": "Relative",
        "charging_schedule": {
            "charging_rate_unit": "W",
            "charging_schedule_period": [{"start_period": 0, "limit": limit}],
        },
        **fields,
    }
