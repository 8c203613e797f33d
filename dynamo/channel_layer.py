"""The channel layer between processes: Redis's publish and subscribe, through every absence of Redis."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from contextlib import suppress
from contextvars import Context
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer, RedisSingleShardConnection
from channels_redis.utils import _wrap_close, decode_hosts
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from ocpp16.metrics import layer_failures

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.25
PING_SECONDS = 2
# A Redis that takes or says nothing for so long is gone, though its connection may look alive.
TIMEOUT_SECONDS = 2
TIMEOUTS = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
# After the return of Redis, processes subscribe within moments; one that does not hear by the end has died.
REPEAT_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8)
EVERYBODY = "dynamo"


class ChannelLayer(RedisPubSubChannelLayer):
    """channels_redis's layer, with one subscription for all channels and groups of a process."""

    def __init__(self, hosts: list[str]) -> None:
        super().__init__(hosts=[{"address": url, **TIMEOUTS} for url in hosts])

    def _get_layer(self) -> LoopLayer:
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            self._layers[loop] = LoopLayer(channel_layer=self, **self._kwargs)
            _wrap_close(self, loop)
        return self._layers[loop]


class LoopLayer(RedisPubSubLoopLayer):
    """The channels of one event loop: before the exclamation mark they have the name that it is reached by."""

    def __init__(self, hosts: list[Any], channel_layer: ChannelLayer) -> None:
        super().__init__(hosts, prefix=f"{EVERYBODY}.{uuid.uuid4().hex}!", channel_layer=channel_layer)
        self._shards = [Shard(host, self) for host in decode_hosts(hosts)]

    def _get_group_channel_name(self, group: str) -> str:
        return f"group.{group}"


class Shard(RedisSingleShardConnection):
    """One Redis: a connection that hears what is for this process or for everybody, made anew until it holds.

    That of channels_redis subscribes to each channel, so that every socket would wait for Redis when it connects, and
    be deaf longer when Redis returns; it never gives a frozen Redis up, and publishes one event after another.
    """

    def __init__(self, host: dict[str, Any], layer: LoopLayer) -> None:
        super().__init__(host, layer)
        self.names = (layer.prefix.rstrip("!"), EVERYBODY)
        self.hears = asyncio.Event()
        # By the name of its process, what nobody has heard yet.
        self.unheard: dict[str, deque[bytes]] = {}
        self.repeating: set[asyncio.Task[None]] = set()
        self.outbox: list[tuple[str, bytes, asyncio.Future[int]]] = []
        self.publishing: asyncio.Task[None] | None = None
        self.publisher: AbstractConnection | None = None
        self.dead: set[str] = set()

    async def subscribe(self, channel: str) -> None:
        """Hear this process's channels from now on; a group, which nobody repeats for, before this returns."""
        self._ensure_redis()
        # It outlives whatever happens to subscribe first, and must not log in its name.
        Context().run(self._ensure_receiver)
        if "!" not in channel:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.hears.wait(), TIMEOUT_SECONDS)

    async def unsubscribe(self, channel: str) -> None:
        """Nothing: what comes for a channel that is no longer there is dropped."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish, and again in the background if nobody hears: whose it is may just be subscribing anew.

        Raises RedisError or OSError where Redis does not take it.
        """
        self._ensure_redis()
        process, is_one, _ = channel.partition("!")
        envelope = channel.encode() + b" " + message
        if not is_one:
            await self._publish(EVERYBODY, envelope)
        elif await self._publish(process, envelope):
            self.dead.discard(process)
        elif process in self.dead:
            layer_failures.labels("unheard").inc()
        else:
            self._repeat_later(process, envelope)

    async def _publish(self, name: str, envelope: bytes) -> int:
        """How many hear it; one connection takes all that is to be published meanwhile."""
        heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.outbox.append((name, envelope, heard))
        if self.publishing is None:
            self.publishing = asyncio.create_task(self._publish_all(), context=Context())
        return await heard

    async def _publish_all(self) -> None:
        try:
            while self.outbox:
                batch, self.outbox = self.outbox, []
                await self._publish_batch(batch)
        finally:
            self.publishing = None

    async def _publish_batch(self, batch: list[tuple[str, bytes, asyncio.Future[int]]]) -> None:
        commands = [("PUBLISH", name, envelope) for name, envelope, _ in batch]
        try:
            counts = await self._tell(commands)
        except (RedisError, OSError) as error:
            counts = [error] * len(batch)
        for (*_, heard), count in zip(batch, counts, strict=True):
            if heard.done():  # nobody waits any more
                continue
            heard.set_exception(count) if isinstance(count, Exception) else heard.set_result(count)

    async def _tell(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        """Redis's replies, over the connection that is kept, or over a new one where that has ended meanwhile.

        A client of the pool takes several times as long: each time it looks first whether its connection lives.
        """
        if self.publisher is not None:
            with suppress(RedisError, OSError):
                return await self._tell_over(self.publisher, commands)
        self.publisher = self._redis.connection_pool.make_connection()
        self.publisher.socket_timeout = None  # it would be a task each time; below is one limit for all
        return await self._tell_over(self.publisher, commands)

    async def _tell_over(self, connection: AbstractConnection, commands: list[tuple[Any, ...]]) -> list[Any]:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                return [await connection.read_response() for _ in commands]
        except BaseException:
            self.publisher = None
            await connection.disconnect(nowait=True)
            raise

    async def flush(self) -> None:
        for task in (*self.repeating, *filter(None, [self.publishing])):
            task.cancel()
        if self.publisher is not None:
            await self.publisher.disconnect(nowait=True)
            self.publisher = None
        self.unheard.clear()
        self.dead.clear()
        await super().flush()

    def _repeat_later(self, process: str, envelope: bytes) -> None:
        if process in self.unheard:
            self.unheard[process].append(envelope)
            return
        self.unheard[process] = deque([envelope])
        task = asyncio.create_task(self._repeat(process, self.unheard[process]), context=Context())
        self.repeating.add(task)
        task.add_done_callback(self.repeating.discard)

    async def _repeat(self, process: str, envelopes: deque[bytes]) -> None:
        """Publish until each is heard, or the process must have died."""
        for seconds in REPEAT_SECONDS:
            await asyncio.sleep(seconds)
            with suppress(RedisError, OSError):
                while envelopes and await self._publish(process, envelopes[0]):
                    envelopes.popleft()
            if not envelopes:
                break
        del self.unheard[process]
        if envelopes:
            layer_failures.labels("unheard").inc(len(envelopes))
            logger.warning("Nobody hears %s", process)
            if self.hears.is_set():  # or it is Redis that is not there
                self.dead.add(process)

    async def _do_receiving(self) -> None:
        """Take events, over one connection after the other."""
        while True:
            connection = self._redis.connection_pool.make_connection()
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await connection.connect()
                await self._converse(connection)
            except (RedisError, OSError) as error:
                layer_failures.labels("connection").inc()
                logger.warning("Redis is not there: %r", error)
            finally:
                self.hears.clear()
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RETRY_SECONDS)

    async def _converse(self, connection: AbstractConnection) -> None:
        """Subscribe and take what comes; raises where Redis has nothing more to say."""
        await connection.send_command("SUBSCRIBE", *self.names, check_health=False)
        task = asyncio.current_task()
        while True:
            if task is not None and task.cancelling():
                # Until Python 3.12 the client's own limits of time may swallow a cancellation.
                raise asyncio.CancelledError
            reply = await connection.read_response(timeout=PING_SECONDS)
            if reply is None:
                await connection.send_command("PING", check_health=False)
                reply = await connection.read_response(timeout=TIMEOUT_SECONDS)
            if reply is None:
                raise TimeoutError
            if isinstance(reply, list):
                self._take(*reply)

    def _take(self, kind: bytes, name: bytes, *more: Any) -> None:
        if kind == b"message":
            channel, _, message = more[0].partition(b" ")
            self._receive_message({"channel": channel, "data": message})
        elif kind == b"subscribe" and more[0] == len(self.names):
            self.dead.clear()  # while Redis was away, nobody could be heard of
            self.hears.set()
