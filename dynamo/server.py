"""Daphne's server, as charge points need it: it lets its sockets finish before it ends."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import daphne.server
from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string
from twisted.internet import defer

from chargepoints.attention import attention
from chargepoints.feed import watch
from ocpp16.journal import journal

from . import metrics, proxies
from .connections import EagerConnection
from .inbox import Inbox
from .protocols import CONNECT_SECONDS, ChargePointFactory, ChargePointProtocol
from .requests import RequestFactory

logger = logging.getLogger(__name__)

MAXIMUM_MESSAGE = 4 * 1024 * 1024
MAXIMUM_FILES = 65_536
# A thread that stores a large message lets go of the interpreter so soon: each answer to others takes it ten times.
SWITCH_SECONDS = 0.001
DRAIN_SECONDS = 10
EXIT_SECONDS = 13


class PortInUse(Exception):
    """Another process listens where the server should."""


# Daphne looks its factories up in its own module and offers no other hook.
daphne.server.HTTPFactory = RequestFactory
daphne.server.WebSocketFactory = ChargePointFactory


class Server(daphne.server.Server):
    """Daphne's server, which tells when it listens, runs tasks beside it, and lets its sockets finish at the end."""

    def __init__(
        self,
        application: Any,
        host: str,
        port: int,
        on_ready: Callable[[], None] | None,
        beside: Sequence[Callable[[], Coroutine[Any, Any, None]]],
    ) -> None:
        super().__init__(
            application,
            endpoints=[f"tcp:port={port}:interface={host.replace(':', chr(92) + ':')}:backlog=4096"],
            websocket_timeout=-1,
            websocket_handshake_timeout=0,  # Autobahn would hang up, where our own check answers with a status
            websocket_connect_timeout=CONNECT_SECONDS,
            websocket_max_message_size=MAXIMUM_MESSAGE,
            websocket_max_frame_size=MAXIMUM_MESSAGE,
            server_name="",
            proxy_forwarded_address_header=proxies.FOR,
            proxy_forwarded_port_header="",
            proxy_forwarded_proto_header=proxies.PROTO,
        )
        self.on_ready, self.beside = on_ready, beside
        self.tasks: list[asyncio.Task[None]] = []
        self.failure = ""
        self.port: Any = None
        self.is_ending = False
        self.connections: dict[Any, dict[str, Any]] = {}
        self.leaving: set[Any] = set()

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if scope["type"] == "websocket":
            # Daphne's path lost what follows a semicolon; an identity may hold one.
            # The scheme is known only of a proxy that tells it.
            scheme = "wss" if getattr(protocol, "client_scheme", "") in ("https", "wss") else "ws"
            raw_path = protocol.http_request_uri.split("?")[0].encode()
            scope |= {"raw_path": raw_path, "scheme": scheme}
            scope["extensions"] = {"websocket.http.response": {}, "dynamo.text": {"write": protocol.serverSend}}
        if protocol not in self.connections:  # it hung up meanwhile
            return None
        inbox = Inbox(getattr(protocol, "taken", None))
        scope["asgi"] = {"version": "3.0"}
        serving = self.application(scope, inbox.get, partial(self.handle_reply, protocol))
        application = self.connections[protocol]["application_instance"] = asyncio.ensure_future(serving)
        application.add_done_callback(lambda _: self.leaving.add(protocol))
        return inbox

    def protocol_disconnected(self, protocol: Any) -> None:
        super().protocol_disconnected(protocol)
        self.leaving.add(protocol)

    def application_checker(self) -> None:
        """See off who has ended. Every second Daphne's goes through all connections, so it is shown only those."""
        connections = self.connections
        leaving, self.leaving = self.leaving & connections.keys(), set()
        self.connections = {protocol: connections[protocol] for protocol in leaving}
        try:
            super().application_checker()
        finally:
            for protocol in leaving - self.connections.keys():
                del connections[protocol]
            connections |= self.connections  # one may have begun meanwhile, by a request that was sent ahead
            self.leaving |= {protocol for protocol, details in self.connections.items() if "disconnected" in details}
            self.connections = connections

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Write an answer no faster than its peer reads it: a long list would gather in memory."""
        await super().handle_reply(protocol, message)
        if message.get("more_body") and protocol.channel is not None:
            await protocol.channel.drain()

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self.port = port
        port.transport = EagerConnection
        # Daphne makes its loop the current one only after it listens.
        beside = [metrics.watch_lag, attention.tell, *self.beside]
        self.tasks = [daphne.server.twisted_loop.create_task(start()) for start in beside]
        if self.on_ready is not None:
            # Not before signals are handled: whoever is told may end us at once.
            daphne.server.reactor.callWhenRunning(self.on_ready)

    def listen_error(self, failure: Any) -> None:
        self.failure = failure.getErrorMessage()
        self.stop()

    def kill_all_applications(self) -> Any:
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        """Let handlers in flight finish, close every socket with 1001 (going away), then end what is left."""
        end_within(EXIT_SECONDS)
        self.is_ending = True  # for who sends another request on a connection that is open
        if self.port is not None:
            self.port.stopListening()  # or who is told to go would come back here
        for task in self.tasks:
            task.cancel()
        watch.end()
        for protocol in [*self.connections]:
            if isinstance(protocol, ChargePointProtocol):
                self._send_home(protocol)
        running = [
            details["application_instance"]
            for details in self.connections.values()
            if "application_instance" in details
        ]
        if running:
            _, late = await asyncio.wait(running, timeout=DRAIN_SECONDS)
            for application in late:
                application.cancel()
        await asyncio.gather(*running, *self.tasks, return_exceptions=True)
        await journal.flush()
        await asyncio.sleep(0.1)  # the close frames leave

    def _send_home(self, protocol: ChargePointProtocol) -> None:
        """Tell the consumer of a socket to end, and the peer that we go as soon as it has."""
        application = self.connections[protocol].get("application_instance")
        if application is not None:
            protocol.end_application(1001)
            application.add_done_callback(lambda _: protocol.say_goodbye())


def allow_many_sockets() -> None:
    """Raise the limit of open files as far as the system lets us, for the usual 1024 leave charge points outside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAXIMUM_FILES if hard == resource.RLIM_INFINITY else min(hard, MAXIMUM_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def set_start_aside() -> None:
    """Have the search for garbage pass over what the start has made: to go through it stops every socket."""
    gc.collect()
    gc.freeze()


def check_port(host: str, port: int) -> None:
    """Raise PortInUse if another process listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = " Choose another with --port." if error.errno == errno.EADDRINUSE else ""
            raise PortInUse(f"Cannot listen on {host}:{port}: {error.strerror}.{advice}") from None


def close_pools() -> None:
    """Give PostgreSQL's connections back."""
    for connection in connections.all():
        if hasattr(connection, "close_pool"):
            connection.close_pool()


def end_within(seconds: float) -> None:
    """Have the process end by then: a thread that hangs in the database would hold it up for ever."""
    watchdog = threading.Timer(seconds, give_up)
    watchdog.daemon = True
    watchdog.start()


def give_up() -> None:
    logger.error("Ended with work in flight that did not finish")
    os._exit(1)


def serve(
    host: str,
    port: int,
    application: str = settings.ASGI_APPLICATION,
    *,
    on_ready: Callable[[], None] | None = None,
    beside: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
) -> None:
    """Serve until SIGINT or SIGTERM; runs the coroutines that `beside` makes on the same loop while it serves."""
    check_port(host, port)
    allow_many_sockets()
    sys.setswitchinterval(SWITCH_SECONDS)
    connections.close_all()  # this thread asks the database no more, and would keep a connection
    server = Server(import_string(application), host, port, on_ready, beside)
    set_start_aside()
    server.run()
    close_pools()
    if server.failure:
        raise PortInUse(server.failure)
