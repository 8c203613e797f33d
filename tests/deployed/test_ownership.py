"""One charge point that comes and goes on two servers, of which any may die, while commands are sent to it."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import websockets
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from chargepoints.models import ChargePoint
from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.metrics import read_at

from .conftest import Deployment

SETTLED_SECONDS = 10
# What a command may be answered while its charge point comes and goes; nothing where its server was killed.
ENDS = {200, 408, 422, 429, 503, None}
ACTIONS = ["connect", "connect", "close", "abort", "command", "command", "kill"]


class Socket:
    """One connection of the charge point, which accepts every command and notes which it saw."""

    def __init__(self, client: ChargePointClient) -> None:
        self.client, self.seen = client, Counter[str]()
        self.obeying = asyncio.create_task(self.obey())

    async def obey(self) -> None:
        while True:
            call = await self.client.calls.get()
            self.seen[call.message_id] += 1
            try:
                await call.reply(status="Accepted")
            except websockets.ConnectionClosed:
                return

    @property
    def is_open(self) -> bool:
        return not self.client.reading.done()


class Ownership(RuleBasedStateMachine):
    """Each rule lets a few things happen at once; then one socket at most is left, and it alone is commanded."""

    deployment: Deployment
    headers: dict[str, str]
    make_charge_point: Callable[[], ChargePoint]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.row = self.make_charge_point()
        self.sockets: list[Socket] = []
        self.servers = self.deployment.workers[:2]

    @rule(
        acts=st.lists(
            st.tuples(st.sampled_from(ACTIONS), st.integers(0, 1), st.integers(0, 30)), min_size=1, max_size=4
        )
    )
    def happen(self, acts: list[tuple[str, int, int]]) -> None:
        self.runner.run(self.at_once(acts))

    def teardown(self) -> None:
        self.runner.run(self.leave())
        self.runner.close()

    async def at_once(self, acts: list[tuple[str, int, int]]) -> None:
        await asyncio.gather(*(self.act(*act) for act in acts))
        for server in self.servers:
            if server.process.poll() is not None:
                await asyncio.to_thread(server.start)
        await self.settle()

    async def act(self, action: str, number: int, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)
        await getattr(self, action)(number)

    async def connect(self, number: int) -> None:
        port = self.servers[number].port
        client = ChargePointClient(f"ws://127.0.0.1:{port}/ocpp16/{self.row.identity}", self.row.identity)
        try:
            await client.connect()
        except (OSError, websockets.InvalidMessage):
            assert self.servers[number].process.poll() is not None
        else:
            self.sockets.append(Socket(client))

    async def close(self, number: int) -> None:
        for socket in self.open()[-1:]:
            await socket.client.close()

    async def abort(self, number: int) -> None:
        for socket in self.open()[-1:]:
            socket.client.socket.transport.abort()

    async def kill(self, number: int) -> None:
        server = self.servers[number]
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)

    async def command(self, number: int) -> None:
        assert await self.status_of_command(number) in ENDS

    async def status_of_command(self, number: int) -> int | None:
        """What a command is answered over that server; None if it died."""
        body = {"charge_point_id": self.row.identity, "type": "Soft"}
        url = f"http://127.0.0.1:{self.servers[number].port}/api/v1/ocpp16/reset"
        async with httpx2.AsyncClient(headers=self.headers, timeout=30) as client:
            try:
                answer = await client.post(url, json=body)
            except httpx2.TransportError:
                assert self.servers[number].process.poll() is not None
                return None
        self.id = answer.headers.get("X-Command-Id", "")
        return answer.status_code

    def connected(self) -> float:
        """How many sockets the servers show in their metrics."""
        return sum(read_at(server.port)("dynamo_charge_points_connected") for server in self.servers)

    def open(self) -> list[Socket]:
        return [socket for socket in self.sockets if socket.is_open]

    async def settle(self) -> None:
        """Whoever was replaced is told to go; who is left is online and gets every command, once."""
        await eventually(lambda: len(self.open()) <= 1, SETTLED_SECONDS)
        for number in range(2):
            status = await self.status_of_command(number)
            if status == 429:  # commands of the rule before
                await asyncio.sleep(1)
                status = await self.status_of_command(number)
            owners = [socket for socket in self.sockets if self.id in socket.seen]
            if status != 200:
                assert (status, owners) == (422, [])
                await eventually(lambda: not self.open(), SETTLED_SECONDS)  # it was just being told to go
            assert owners == self.open()
            assert not owners or ChargePoint.objects.online().filter(pk=self.row.pk).exists()
        await eventually(lambda: self.connected() == len(self.open()), SETTLED_SECONDS)
        seen = sum((socket.seen for socket in self.sockets), Counter[str]())
        assert set(seen.values()) <= {1}

    async def leave(self) -> None:
        for socket in self.sockets:
            socket.obeying.cancel()
            await socket.client.close()


@pytest.fixture
def machine(deployment: Deployment, servers: Any, make_key: Any, make_charge_point: Any) -> type[Ownership]:
    made = {
        "deployment": deployment,
        "headers": {"Authorization": f"Bearer {make_key()}"},
        "make_charge_point": staticmethod(make_charge_point),
    }
    return type("OwnershipOnServers", (Ownership,), made)


@pytest.mark.timeout(4 * 3600)
def test_has_one_owner_in_every_interleaving(machine: type[Ownership], scale: Callable[[int, int], int]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            # Each of an example's steps is an interleaving of its own.
            max_examples=scale(4, 125),
            stateful_step_count=scale(4, 8),
            derandomize=bool(scale(1, 0)),
            database=None,
            # A smaller example would take hundreds of runs on real servers.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
