"""A proxy in front of the servers, as deployments have: it passes bytes on, to the next server where one refuses."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import suppress


class Proxy:
    """Listens while it is entered; `ports` are those of the servers."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports, self.turns = list(ports), itertools.count()
        self.peers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Proxy:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        for peer in self.peers:
            peer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.add(writer)
        upstream = await self.dial()
        if upstream is not None:
            await asyncio.gather(passing(reader, upstream[1]), passing(upstream[0], writer))
        writer.close()
        self.peers.discard(writer)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to the server whose turn it is, or to another; None if all refuse."""
        turn = next(self.turns)
        for number in range(len(self.ports)):
            with suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self.ports[(turn + number) % len(self.ports)])
        return None


async def passing(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass on what comes until it ends, and then the end."""
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()
