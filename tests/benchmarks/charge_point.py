"""A charge point of a load: it has one CALL outstanding at most, and answers those of the central system."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

from .rows import PASSWORD
from .websocket import WebSocket, connect


class ChargePoint:
    """`latencies` gets the seconds that each of its CALLs took; several share a list."""

    def __init__(self, url: str, identity: str, latencies: list[float], answer_after: float = 0) -> None:
        self.url, self.identity, self.latencies = url, identity, latencies
        self.answer_after = answer_after
        self.number = 0
        self.answer: asyncio.Future[Any] | None = None

    async def connect(self) -> None:
        self.socket: WebSocket = await connect(self.url, self.identity, PASSWORD, self.take)
        self.socket.closed.add_done_callback(self.lost)

    def lost(self, _: asyncio.Future[None]) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(ConnectionResetError(f"The server closed the socket of {self.identity}."))

    async def call(self, action: str, payload: Any) -> Any:
        """The payload of the CALLRESULT; raises ConnectionError for a CALLERROR, and if the socket closes."""
        self.number += 1
        text = json.dumps([2, str(self.number), action, payload], separators=(",", ":"))
        self.answer = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self.socket.send(text)
        result = await self.answer
        self.latencies.append(time.perf_counter() - began)
        return result

    def take(self, text: bytes) -> None:
        kind, message_id, *rest = json.loads(text)
        if kind == 2:
            asyncio.get_running_loop().call_later(self.answer_after, self.accept, message_id)
        elif message_id == str(self.number) and self.answer is not None and not self.answer.done():
            if kind == 3:
                self.answer.set_result(rest[0])
            else:
                self.answer.set_exception(ConnectionError(f"{self.identity} was answered {text.decode()}"))

    def accept(self, message_id: str) -> None:
        self.socket.send(f'[3,"{message_id}",{{"status":"Accepted"}}]')

    async def boot(self) -> None:
        await self.call("BootNotification", {"chargePointVendor": "Benchmark", "chargePointModel": "Load"})

    async def status(self, connector_id: int, status: str) -> None:
        report = {"connectorId": connector_id, "errorCode": "NoError", "status": status, "timestamp": now()}
        await self.call("StatusNotification", report)

    async def start(self) -> int:
        session = {"connectorId": 1, "idTag": self.identity[-20:], "meterStart": 0, "timestamp": now()}
        return (await self.call("StartTransaction", session))["transactionId"]

    async def stop(self, transaction_id: int) -> None:
        session = {"transactionId": transaction_id, "meterStop": 1000, "timestamp": now(), "reason": "Local"}
        await self.call("StopTransaction", session)

    async def measure(self, transaction_id: int) -> None:
        reading = {"timestamp": now(), "sampledValue": samples(self.number)}
        values = {"connectorId": 1, "transactionId": transaction_id, "meterValue": [reading]}
        await self.call("MeterValues", values)


def now() -> str:
    """In microseconds, so that no reading is the repeat of another."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def samples(energy: int) -> list[dict[str, str]]:
    """Six, as a three-phase charge point sends them."""
    return [
        {
            "value": str(energy),
            "context": "Sample.Periodic",
            "measurand": "Energy.Active.Import.Register",
            "unit": "Wh",
        },
        {"value": "11040", "context": "Sample.Periodic", "measurand": "Power.Active.Import", "unit": "W"},
        *(
            {"value": "16.0", "context": "Sample.Periodic", "measurand": "Current.Import", "phase": phase, "unit": "A"}
            for phase in ("L1", "L2", "L3")
        ),
        {"value": "230.1", "context": "Sample.Periodic", "measurand": "Voltage", "phase": "L1-N", "unit": "V"},
    ]
