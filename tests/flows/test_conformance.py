"""Schemathesis sends what the OpenAPI document allows, and much that it does not, and compares the answers with it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.models import ChargePoint
from dynamo.management.commands.openapi import COMMITTED
from ocpp16.models import Command
from tests.conftest import eventually
from tests.servers import ROOT, ServerProcess
from tests.world import fill

FOLDER = Path(__file__).parent / "conformance"
ENVIRONMENT = {"DYNAMO_COMMAND_TIMEOUT": "0.5"}
# The charge point of all examples.
IDENTITY, PASSWORD = "CP-SITE42-001", "0123456789abcdef0123"
PYTHON = {**os.environ, "DYNAMO_NO_BOOTSTRAP": "1", "PYTHONPATH": str(ROOT)}


@pytest.mark.timeout(1800)
async def test_answers_whatever_is_sent_as_the_document_says(
    server: ServerProcess, scale: Callable[[int, int], int], tmp_path: Path
) -> None:
    organization = fill("Acme")[Organization]
    row, key = ApiKey.objects.issue(organization, "conformance", SCOPES)
    async with charging(server, organization):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(FOLDER / "schemathesis.toml")),
            *("run", str(COMMITTED), "--url", f"http://127.0.0.1:{server.port}", "--seed", "1"),
            *("--max-examples", str(scale(5, 200))),
            cwd=tmp_path,
            env={**PYTHON, "API_KEY": key, "API_KEY_ID": str(row.pk), "CHARGE_POINT_ID": IDENTITY},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()
    assert "Traceback" not in server.log.read_text()
    # It was let in to the end, and what it sent was carried out.
    assert ApiKey.objects.find(key) == row
    answered = Command.objects.filter(charge_point__identity=IDENTITY, state=Command.State.ACCEPTED)
    assert len({*answered.values_list("action", flat=True)}) >= 4


@asynccontextmanager
async def charging(server: ServerProcess, organization: Organization) -> AsyncIterator[None]:
    """A charge point that is connected, and answers whatever it is sent."""
    ChargePoint.objects.provision(organization, IDENTITY, PASSWORD)
    url = f"ws://127.0.0.1:{server.port}/ocpp16"
    command = ["manage.py", "simulate", "--url", url, "--identity", IDENTITY, "--password", PASSWORD]
    simulator = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT, env=PYTHON)
    try:
        await eventually(ChargePoint.objects.filter(identity=IDENTITY, last_boot_at__isnull=False).exists, 30)
        yield
    finally:
        simulator.terminate()
        await simulator.wait()
