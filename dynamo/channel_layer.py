"""The channel layer between processes: Redis's publish and subscribe, through every absence of Redis."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import uuid
from contextlib import suppress
from contextvars import Context
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from ocpp16.metrics import layer_failures

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.25
PING_SECONDS = 2
# A Redis that takes or says nothing for so long is gone, though its connection may look alive.
TIMEOUT_SECONDS = 2
# After the return of Redis, processes subscribe within moments; one that does not hear by the end has died.
REPEAT_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 0.8, 0.8)


class ChannelLayer:
    """Events by channel name, from and to any process."""

    def __init__(self, hosts: list[str]) -> None:
        (self.url,) = hosts
        self._mailboxes: dict[asyncio.AbstractEventLoop, Mailbox] = {}

    async def new_channel(self, prefix: str = "specific.") -> str:
        return self.mailbox().open(prefix)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Raises RedisError or OSError where Redis does not take it."""
        await self.mailbox().send(channel, message)

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next event; whoever is cancelled while it waits has closed the channel."""
        return await self.mailbox().receive(channel)

    def mailbox(self) -> Mailbox:
        loop = asyncio.get_running_loop()
        if loop not in self._mailboxes:
            self._mailboxes[loop] = made = Mailbox(self.url)
            made.listening.add_done_callback(lambda _: self._mailboxes.pop(loop, None))
        return self._mailboxes[loop]


class Mailbox:
    """The channels of one event loop: a connection that hears for all of them, made anew until it holds.

    Were each subscribed to, every socket would wait for Redis when it connects, and be deaf longer when Redis returns.
    """

    def __init__(self, url: str) -> None:
        timeouts = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
        self.redis = Redis(connection_pool=ConnectionPool.from_url(url, **timeouts))
        self.name = f"dynamo.{uuid.uuid4().hex}"
        self.numbers = itertools.count(1)
        self.channels: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self.repeating: set[asyncio.Task[None]] = set()
        # It outlives whoever happens to be first, and must not log in its name.
        self.listening = asyncio.create_task(self._listen(), context=Context())

    def open(self, prefix: str) -> str:
        channel = f"{self.name}!{prefix}{next(self.numbers)}"
        self.channels[channel] = asyncio.Queue()
        return channel

    async def receive(self, channel: str) -> dict[str, Any]:
        try:
            return await self.channels.setdefault(channel, asyncio.Queue()).get()
        except asyncio.CancelledError:
            self.channels.pop(channel, None)
            raise

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Publish, and again in the background if nobody hears: whose it is may just be subscribing anew."""
        if not await self._publish(channel, message):
            task = asyncio.create_task(self._repeat(channel, message))
            self.repeating.add(task)
            task.add_done_callback(self.repeating.discard)

    async def _publish(self, channel: str, message: dict[str, Any]) -> bool:
        """Whether somebody heard."""
        name = channel.partition("!")[0]
        return bool(await self.redis.publish(name, json.dumps([channel, message])))

    async def _repeat(self, channel: str, message: dict[str, Any]) -> None:
        for seconds in REPEAT_SECONDS:
            await asyncio.sleep(seconds)
            with suppress(RedisError, OSError):
                if await self._publish(channel, message):
                    return
        layer_failures.labels("unheard").inc()
        logger.warning("Nobody hears %s", channel)

    async def _listen(self) -> None:
        """Take events, over one connection after the other."""
        try:
            while True:
                await self._connect()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            await self.redis.aclose(close_connection_pool=True)

    async def _connect(self) -> None:
        connection = self.redis.connection_pool.make_connection()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await connection.connect()
            await self._converse(connection)
        except (RedisError, OSError) as error:
            layer_failures.labels("connection").inc()
            logger.warning("Redis is not there: %r", error)
        finally:
            await connection.disconnect(nowait=True)

    async def _converse(self, connection: AbstractConnection) -> None:
        """Subscribe and take what comes; raises where Redis has nothing more to say."""
        await connection.send_command("SUBSCRIBE", self.name, check_health=False)
        while True:
            reply = await connection.read_response(timeout=PING_SECONDS)
            if reply is None:
                await connection.send_command("PING", check_health=False)
                reply = await connection.read_response(timeout=TIMEOUT_SECONDS)
            if reply is None:
                raise TimeoutError
            if isinstance(reply, list) and reply[0] == b"message":
                self._take(*json.loads(reply[2]))

    def _take(self, channel: str, message: dict[str, Any]) -> None:
        if channel in self.channels:
            self.channels[channel].put_nowait(message)
