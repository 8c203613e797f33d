"""The ASGI application of a process that serves nobody: probes and metrics are all that it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from channels.routing import ProtocolTypeRouter
from django.core.handlers.asgi import ASGIHandler

from ocpp16.door import deny
from ocpp16.handshake import Refused

from . import urls


class Probes(ASGIHandler):
    """Django, with no other pages than these."""

    def create_request(self, scope: Any, body_file: Any) -> Any:
        request, refusal = super().create_request(scope, body_file)
        if request is not None:
            request.urlconf = urls.probes  # type: ignore[assignment]
        return request, refusal


async def refuse(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """Send a charge point away that was given the wrong address."""
    await receive()  # websocket.connect
    await deny(send, Refused(404, "no charge points here"))


application = ProtocolTypeRouter({"http": Probes(), "websocket": refuse})
