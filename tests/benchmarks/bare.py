"""The floor that Dynamo is measured against: a `websockets` server that answers canned CALLRESULTs and does no more.

`python -m tests.benchmarks.bare PORT`
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

TIME = "2026-01-01T00:00:00Z"
ANSWERS = {
    "BootNotification": {"currentTime": TIME, "interval": 300, "status": "Accepted"},
    "Heartbeat": {"currentTime": TIME},
    "MeterValues": {},
    "StartTransaction": {"transactionId": 1, "idTagInfo": {"status": "Accepted"}},
    "StatusNotification": {},
    "StopTransaction": {"idTagInfo": {"status": "Accepted"}},
}
CANNED = {action: json.dumps(payload, separators=(",", ":")) for action, payload in ANSWERS.items()}


async def answer(connection: ServerConnection) -> None:
    with suppress(ConnectionClosedError):  # clients end as they like
        async for text in connection:
            _, message_id, action, _ = json.loads(text)
            await connection.send(f'[3,"{message_id}",{CANNED[action]}]')


async def main(port: int) -> None:
    # As Dynamo, it pings every 20 seconds, which is the library's default.
    async with serve(answer, "127.0.0.1", port, subprotocols=["ocpp1.6"], compression=None, backlog=4096) as server:  # type: ignore[list-item]
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
