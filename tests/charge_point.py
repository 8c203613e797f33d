"""A charge point for tests: a client that speaks OCPP-J over a real socket, exactly as it is told to."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
from dataclasses import dataclass
from typing import Any

import websockets

SECONDS = 10
# From anywhere: a run must not meet what the one before it left in Redis.
_addresses = itertools.count(random.randrange(7_000_000))


def loopback_address() -> str:
    """A source address of its own, so that the server's limits per address do not reach across tests."""
    number = next(_addresses)
    return f"127.{1 + number // 62500}.{1 + number // 250 % 250}.{1 + number % 250}"


def basic(username: str | bytes, password: str | bytes) -> str:
    """The value of a Basic Authorization header."""
    username = username.encode() if isinstance(username, str) else username
    password = password.encode() if isinstance(password, str) else password
    return "Basic " + base64.b64encode(username + b":" + password).decode()


class CallErrorReceived(Exception):
    def __init__(self, code: str, description: str, details: Any) -> None:
        super().__init__(f"{code}: {description}")
        self.code, self.description, self.details = code, description, details


@dataclass
class ReceivedCall:
    """A CALL from the central system."""

    charge_point: ChargePointClient
    message_id: str
    action: str
    payload: dict[str, Any]

    async def reply(self, payload: Any = None, **members: Any) -> None:
        await self.charge_point.send([3, self.message_id, members if payload is None else payload])

    async def fail(self, code: str, description: str = "", details: Any = None) -> None:
        await self.charge_point.send([4, self.message_id, code, description, {} if details is None else details])


class ChargePointClient:
    """`await charge_point.boot()`; `call = await charge_point.expect("Reset")`; `await call.reply(status=...)`."""

    def __init__(self, url: str, identity: str, password: str | None = None) -> None:
        self.url, self.identity, self.password = url, identity, password
        self.address = loopback_address()
        self.calls: asyncio.Queue[ReceivedCall] = asyncio.Queue()
        self.others: asyncio.Queue[Any] = asyncio.Queue()
        self.answers: dict[str, asyncio.Future[Any]] = {}
        self.numbers = itertools.count(1)

    async def connect(
        self, *, subprotocols: list[str] | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> None:
        """Open the socket; raises websockets.InvalidStatus where the server refuses."""
        given = dict(headers or {})
        if self.password is not None:
            given.setdefault("Authorization", basic(self.identity, self.password))
        self.socket = await websockets.connect(
            self.url,
            subprotocols=["ocpp1.6"] if subprotocols is None else subprotocols or None,
            additional_headers=given,
            local_addr=(self.address, 0),
            max_size=None,
            **options,
        )
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for text in self.socket:
                self._take(json.loads(text))
        except websockets.ConnectionClosed:
            pass
        finally:
            for answer in self.answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("The server closed the socket."))
                    answer.exception()

    def _take(self, frame: list[Any]) -> None:
        if frame[0] == 2:
            self.calls.put_nowait(ReceivedCall(self, *frame[1:]))
        elif frame[1] in self.answers:
            answer = self.answers.pop(frame[1])
            if not answer.done():  # given up
                answer.set_result(frame)
        else:
            self.others.put_nowait(frame)

    async def send(self, frame: Any) -> None:
        """Send a frame: a list as JSON, a text as it is."""
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def frame(self, seconds: float = SECONDS) -> Any:
        """The next frame that is neither a CALL nor an answer to `call`."""
        return await asyncio.wait_for(self.others.get(), seconds)

    async def call(self, action: str, payload: Any = None, *, message_id: str | None = None) -> Any:
        """Send a CALL and return the payload of its CALLRESULT; raises CallErrorReceived for a CALLERROR."""
        message_id = message_id or f"m{next(self.numbers)}"
        self.answers[message_id] = answer = asyncio.get_running_loop().create_future()
        await self.send([2, message_id, action, {} if payload is None else payload])
        frame = await asyncio.wait_for(answer, SECONDS)
        if frame[0] == 4:
            raise CallErrorReceived(*frame[2:])
        return frame[2]

    async def expect(self, action: str, seconds: float = SECONDS) -> ReceivedCall:
        """The next CALL of the central system, which must be `action`."""
        call = await asyncio.wait_for(self.calls.get(), seconds)
        assert call.action == action, f"expected {action}, got {call.action}"
        return call

    async def boot(self) -> Any:
        return await self.call("BootNotification", {"chargePointVendor": "Vendor", "chargePointModel": "Model"})

    async def status(self, connector_id: int = 1, status: str = "Available", error_code: str = "NoError") -> Any:
        payload = {"connectorId": connector_id, "status": status, "errorCode": error_code}
        return await self.call("StatusNotification", payload)

    async def start(self, id_tag: str = "TAG", connector_id: int = 1, meter_start: int = 100, at: str = "") -> int:
        """Start a transaction and return its id."""
        payload = {
            "connectorId": connector_id,
            "idTag": id_tag,
            "meterStart": meter_start,
            "timestamp": at or "2026-01-01T10:00:00Z",
        }
        return (await self.call("StartTransaction", payload))["transactionId"]

    async def stop(
        self, transaction_id: int, meter_stop: int = 200, at: str = "2026-01-01T11:00:00Z", **more: Any
    ) -> Any:
        payload = {"transactionId": transaction_id, "meterStop": meter_stop, "timestamp": at, **more}
        return await self.call("StopTransaction", payload)

    async def measure(self, value: str, at: str, connector_id: int = 1, **more: Any) -> Any:
        """Send one reading of the energy register, in Wh."""
        sample = {"value": value, "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        reading = {"timestamp": at, "sampledValue": [sample]}
        return await self.call("MeterValues", {"connectorId": connector_id, "meterValue": [reading], **more})

    async def close(self) -> None:
        if hasattr(self, "socket"):
            await self.socket.close()
            await self.reading

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes; returns its code and reason."""
        await asyncio.wait_for(self.socket.wait_closed(), SECONDS)
        return self.socket.close_code or 0, self.socket.close_reason or ""
