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


def shard(layer: ChannelLayer) -> channel_layer.Shard:
    (only,) = layer._shards
    return only


def unheard() -> float:
    return REGISTRY.get_sample_value("dynamo_channel_layer_failures_total", {"during": "unheard"}) or 0


async def test_is_heard_by_whom_it_is_for(mine: ChannelLayer, theirs: ChannelLayer) -> None:
    one, other = await theirs.new_channel("one."), await theirs.new_channel("other.")
    await mine.send(other, {"number": "2"})
    await mine.send(one, {"number": "1"})
    assert await heard(theirs, one) == {"number": "1"}
    assert await heard(theirs, other) == {"number": "2"}


async def test_takes_many_at_once_in_their_order_over_one_connection(
    redis_server: RedisServer, mine: ChannelLayer, theirs: ChannelLayer
) -> None:
    channel = await theirs.new_channel()
    await asyncio.wait_for(shard(theirs).hears.wait(), SECONDS)  # or what it does not hear yet comes again later
    await asyncio.gather(*(mine.send(channel, {"number": str(number)}) for number in range(500)))
    assert [(await heard(theirs, channel))["number"] for _ in range(500)] == [str(number) for number in range(500)]
    with redis_server.client() as redis:
        subscribed, publishing, asking = 1, 1, 1
        assert len(redis.client_list()) <= subscribed + publishing + asking


async def test_is_heard_though_redis_has_closed_the_connection(
    redis_server: RedisServer, mine: ChannelLayer, theirs: ChannelLayer
) -> None:
    channel = await theirs.new_channel()
    await mine.send(channel, EVENT)
    await heard(theirs, channel)
    with redis_server.client() as redis:
        assert redis.client_kill_filter(_type="normal")
    await mine.send(channel, EVENT)
    assert await heard(theirs, channel) == EVENT
    assert theirs.channels[channel].empty()


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
    assert theirs.channels[channel].empty()


async def test_is_heard_by_every_member_of_a_group(mine: ChannelLayer, theirs: ChannelLayer) -> None:
    near, far, gone = await mine.new_channel(), await theirs.new_channel(), await theirs.new_channel()
    for layer, channel in ((mine, near), (theirs, far), (theirs, gone)):
        await layer.group_add("page", channel)
    await theirs.group_discard("page", gone)
    await mine.group_send("page", EVENT)
    assert await heard(mine, near) == await heard(theirs, far) == EVENT
    assert theirs.channels[gone].empty()


async def test_gives_a_process_up_that_nobody_hears_for(
    mine: ChannelLayer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(channel_layer, "REPEAT_SECONDS", (0, 0))
    await mine.new_channel()
    before = unheard()
    await mine.send("dynamo.dead!ocpp16.1", EVENT)
    await mine.send("dynamo.dead!ocpp16.2", EVENT)
    await asyncio.wait(shard(mine).repeating)
    await mine.send("dynamo.dead!ocpp16.3", EVENT)
    assert not shard(mine).repeating
    assert unheard() == before + 3
    assert [record.getMessage() for record in caplog.records] == ["Nobody hears dynamo.dead"]


async def test_believes_in_a_process_again_that_is_heard_of(
    mine: ChannelLayer, theirs: ChannelLayer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_layer, "REPEAT_SECONDS", (0, 0))
    channel = await theirs.new_channel()
    shard(mine).dead.add(channel.partition("!")[0])
    await mine.group_add("anything", await mine.new_channel())
    await theirs.group_add("anything", channel)
    assert not shard(mine).dead
    shard(mine).dead.add(channel.partition("!")[0])
    await mine.send(channel, EVENT)
    assert not shard(mine).dead


async def test_is_forgotten_with_its_channel(mine: ChannelLayer) -> None:
    channel = await mine.new_channel()
    waiting = asyncio.create_task(mine.receive(channel))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert mine.channels == {}


async def test_ends_at_whatever_moment_it_is_cancelled(redis_server: RedisServer) -> None:
    others = asyncio.all_tasks()
    for turns in range(60):
        await ChannelLayer([redis_server.url]).new_channel()
        for _ in range(turns):
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - others
        for task in tasks:
            task.cancel()
        assert not (await asyncio.wait(tasks, timeout=SECONDS))[1]
