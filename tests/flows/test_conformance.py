"""Schemathesis sends what the OpenAPI document allows, and much that it does not, and compares the answers with it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint
from dynamo.management.commands.openapi import COMMITTED
from ocpp16.models import Command
from tests.charge_point import ChargePointClient
from tests.servers import ROOT, ServerProcess
from tests.world import fill

FOLDER = Path(__file__).parent / "conformance"
ENVIRONMENT = {"DYNAMO_COMMAND_TIMEOUT": "0.5"}
# The charge point of all examples.
IDENTITY = "CP-SITE42-001"
ANSWERS: dict[str, dict[str, Any]] = {
    "GetConfiguration": {},
    "GetDiagnostics": {},
    "UpdateFirmware": {},
    "GetLocalListVersion": {"listVersion": 1},
    "UnlockConnector": {"status": "Unlocked"},
}


@pytest.mark.timeout(1800)
async def test_answers_whatever_is_sent_as_the_document_says(
    server: ServerProcess, scale: Callable[[int, int], int], tmp_path: Path
) -> None:
    organization = fill("Acme")[Organization]
    row, key = ApiKey.objects.issue(organization, "conformance", SCOPES)
    async with answering(server, organization):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml")),
            *("run", str(COMMITTED), "--url", f"http://127.0.0.1:{server.port}", "--seed", "1"),
            *("--max-examples", str(scale(5, 200))),
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "API_KEY": key,
                "API_KEY_ID": str(row.pk),
                "CHARGE_POINT_ID": IDENTITY,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert "Traceback" not in server.log.read_text()
    # It was let in to the end, and what it sent was carried out.
    assert ApiKey.objects.find(key) == row
    answered = Command.objects.filter(charge_point__identity=IDENTITY, state=Command.State.ACCEPTED)
    assert len({*answered.values_list("action", flat=True)}) >= 3


@asynccontextmanager
async def answering(server: ServerProcess, organization: Organization) -> AsyncIterator[None]:
    """A charge point that is connected, and answers whatever it is sent at once."""
    ChargePoint.objects.provision(organization, IDENTITY, None)
    charge_point = ChargePointClient(f"ws://127.0.0.1:{server.port}/ocpp16/{IDENTITY}", IDENTITY)
    await charge_point.connect()
    await charge_point.boot()
    task = asyncio.create_task(accept_all(charge_point))
    try:
        yield
    finally:
        task.cancel()
        await charge_point.close()


async def accept_all(charge_point: ChargePointClient) -> None:
    while True:
        call = await charge_point.calls.get()
        await call.reply(ANSWERS.get(call.action, {"status": "Accepted"}))
