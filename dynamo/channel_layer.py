"""The channel layer between processes: Redis's publish and subscribe, through every absence of Redis."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import Context
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisSingleShardConnection
from channels_redis.utils import create_pool
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from ocpp16.metrics import layer_failures

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.25
PING_SECONDS = 2
# A Redis that takes or says nothing for so long is gone, though its connection may look alive.
TIMEOUT_SECONDS = 2
TIMEOUTS = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}


class ChannelLayer(RedisPubSubChannelLayer):
    """channels_redis's layer, with subscriptions that outlive their connection."""

    def _get_layer(self) -> Any:
        layer = super()._get_layer()
        layer._shards = [shard if isinstance(shard, Shard) else Shard(shard.host, layer) for shard in layer._shards]
        return layer


class Shard(RedisSingleShardConnection):
    """One Redis: a connection that hears all subscriptions, made anew until it holds, and others to publish.

    That of channels_redis forgets a subscription that was asked for while Redis was away, never gives a frozen Redis
    up, and has its connection made by whoever comes first, or by two at once.
    """

    def __init__(self, host: dict[str, Any], layer: Any) -> None:
        super().__init__(host, layer)
        self.redis = Redis(connection_pool=create_pool({**TIMEOUTS, **host}))
        # Every name with its confirmation.
        self.names: dict[str, asyncio.Event] = {}
        self.connection: AbstractConnection | None = None
        self.is_away = False
        self.listening: asyncio.Task[None] | None = None

    async def publish(self, channel: str, message: bytes) -> None:
        await self.redis.publish(channel, message)

    async def subscribe(self, channel: str) -> None:
        """Hear the channel from now on, or from the return of Redis."""
        confirmed = self.names.setdefault(channel, asyncio.Event())
        if self.listening is None:
            # It outlives whatever happens to subscribe first, and must not log in its name.
            self.listening = asyncio.create_task(self._listen(), context=Context())
        await self._tell("SUBSCRIBE", channel)
        if not self.is_away:
            with suppress(TimeoutError):
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await confirmed.wait()

    async def unsubscribe(self, channel: str) -> None:
        self.names.pop(channel, None)
        await self._tell("UNSUBSCRIBE", channel)

    async def flush(self) -> None:
        """Forget everything and let go of Redis."""
        self.names.clear()
        if self.listening is not None:
            self.listening.cancel()
            await asyncio.wait([self.listening])
            self.listening = None
        await self.redis.aclose(close_connection_pool=True)

    async def _tell(self, *command: str) -> None:
        """Send a change of the names, if there is a connection: the next one begins with all of them."""
        if self.connection is not None:
            try:
                await send(self.connection, *command)
            except (RedisError, OSError) as error:
                layer_failures.labels("subscribe").inc()
                logger.warning("Redis takes no subscription: %s", error)

    async def _listen(self) -> None:
        """Take messages, over one connection after the other."""
        while True:
            connection = self.redis.connection_pool.make_connection()
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    await connection.connect()
                await self._converse(connection)
            except (RedisError, OSError) as error:
                layer_failures.labels("connection").inc()
                logger.warning("Redis is not there: %r", error)
            finally:
                self.connection, self.is_away = None, True
                await connection.disconnect(nowait=True)
            await asyncio.sleep(RETRY_SECONDS)

    async def _converse(self, connection: AbstractConnection) -> None:
        """Subscribe to every name and take what comes; raises where Redis has nothing more to say."""
        # Its own limit of time would swallow the cancellation of whoever subscribes (until Python 3.12).
        connection.socket_timeout = None
        self.connection, self.is_away = connection, False
        if self.names:
            await send(connection, "SUBSCRIBE", *self.names)
        while True:
            reply = await connection.read_response(timeout=PING_SECONDS)
            if reply is None:
                await send(connection, "PING")
                reply = await connection.read_response(timeout=TIMEOUT_SECONDS)
            if reply is None:
                raise TimeoutError
            if isinstance(reply, list):
                self._take(*reply)

    def _take(self, kind: bytes, name: bytes, *more: Any) -> None:
        if kind == b"message":
            self._receive_message({"channel": name, "data": more[0]})
        elif kind == b"subscribe" and name.decode() in self.names:
            self.names[name.decode()].set()


async def send(connection: AbstractConnection, *command: str) -> None:
    """Send a command that needs no answer; a lost connection stays lost: made anew here, it would hear nothing."""
    if not connection.is_connected:
        raise ConnectionError("The connection was lost.")
    await connection.send_command(*command, check_health=False)
