"""Commands of the API that a test answers itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest


class Timed:
    """A response, and the seconds that it took."""

    def __init__(self, response: Any, seconds: float) -> None:
        self.response, self.seconds = response, seconds
        self.status, self.body = response.status_code, response.json()
        self.code = self.body.get("error", {}).get("code", "")
        self.command_id = response.headers.get("X-Command-Id", "")


@pytest.fixture
def post(api: Any, charge_point: Any) -> Callable[..., asyncio.Task[Timed]]:
    """Starts a command of the API: `post("reset", type="Soft")`; the task's result is timed."""

    async def run(name: str, to: str, body: dict[str, Any]) -> Timed:
        began = time.monotonic()
        response = await api.post(f"/api/v1/ocpp16/{name}", json={"charge_point_id": to, **body})
        return Timed(response, time.monotonic() - began)

    def start(name: str, to: Any = None, **body: Any) -> asyncio.Task[Timed]:
        return asyncio.create_task(run(name, (to or charge_point).identity, body))

    return start
