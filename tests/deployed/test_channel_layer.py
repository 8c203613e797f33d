"""What one process tells another through Redis, though the other is not listening just then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from redis.exceptions import RedisError

from dynamo import channel_layer
from dynamo.channel_layer import ChannelLayer

from .conftest import started
from .services import RedisServer

SECONDS = 5
EVENT = {"type": "command.send"}


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    with started(RedisServer(tmp_path)) as server:
        yield server


@pytest.fixture
def mine(redis_server: RedisServer) -> ChannelLayer:
    return ChannelLayer([redis_server.url])


@pytest.fixture
def theirs(redis_server: RedisServer) -> ChannelLayer:
    return ChannelLayer([redis_server.url])


async def heard(layer: ChannelLayer, channel: str) -> dict[str, str]:
    return await asyncio.wait_for(layer.receive(channel), SECONDS)


def unheard() -> float:
    return REGISTRY.get_sample_value("dynamo_channel_layer_failures_total", {"during": "unheard"}) or 0


async def test_is_heard_by_whom_it_is_for(mine: ChannelLayer, theirs: ChannelLayer) -> None:
    one, other = await theirs.new_channel("one."), await theirs.new_channel("other.")
    await mine.send(other, {"number": "2"})
    await mine.send(one, {"number": "1"})
    assert await heard(theirs, one) == {"number": "1"}
    assert await heard(theirs, other) == {"number": "2"}


async def test_is_heard_by_who_has_not_subscribed_again(
    redis_server: RedisServer, mine: ChannelLayer, theirs: ChannelLayer
) -> None:
    channel = await theirs.new_channel()
    await mine.send(channel, EVENT)
    await heard(theirs, channel)
    redis_server.kill()
    with pytest.raises((RedisError, OSError)):
        await mine.send(channel, EVENT)
    await asyncio.to_thread(redis_server.start)
    await mine.send(channel, EVENT)
    assert await heard(theirs, channel) == EVENT
    assert theirs.mailbox().channels[channel].empty()


async def test_is_counted_where_nobody_is_left_to_hear(mine: ChannelLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_layer, "REPEAT_SECONDS", (0, 0))
    before = unheard()
    await mine.send("dynamo.dead!ocpp16.1", EVENT)
    await asyncio.wait(mine.mailbox().repeating)
    assert unheard() == before + 1


async def test_is_forgotten_with_its_channel(mine: ChannelLayer) -> None:
    channel = await mine.new_channel()
    waiting = asyncio.create_task(mine.receive(channel))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert mine.mailbox().channels == {}
