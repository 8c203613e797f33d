"""Nobody who waits for events holds up the end of a server."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2

from dynamo.server import DRAIN_SECONDS

ENVIRONMENT: dict[str, str] = {}


async def test_answers_who_waits_and_ends(server: Any, make_key: Any) -> None:
    key = make_key()
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=40) as client:
        request = client.get("/api/v1/events", params={"wait": 30}, headers={"X-API-Key": key})
        asked = asyncio.create_task(request)
        done, _ = await asyncio.wait([asked], timeout=1)
        assert not done
        told_at = time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        assert time.monotonic() - told_at < DRAIN_SECONDS
        assert (await asked).json()["events"] == []
