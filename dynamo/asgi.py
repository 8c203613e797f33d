"""The doors: http to Django, the API and the pages each their own way; websocket to the charge points' consumer."""

import os
from typing import Any

import django
from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest


class Handler(ASGIHandler):
    """Django's handler, with its whole chain of middleware in the request's thread.

    Its own goes back and forth between thread and event loop twice for every middleware.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> Any:
        return await sync_to_async(self.get_response)(request)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dynamo.settings")
django.setup(set_prefix=False)

from ocpp16.door import charge_point_socket  # noqa: E402  needs the apps that the line above loads

from .api import ROOT, ApiHandler  # noqa: E402

api, pages = ApiHandler(), Handler()


async def http(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await (api if scope["path"].startswith(ROOT) else pages)(scope, receive, send)


application = ProtocolTypeRouter({"http": http, "websocket": charge_point_socket})
