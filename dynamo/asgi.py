"""The two doors: http to Django, websocket to the charge points' consumer."""

import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dynamo.settings")
http = get_asgi_application()

from ocpp16.door import charge_point_socket  # noqa: E402  needs the apps that the line above loads

application = ProtocolTypeRouter({"http": http, "websocket": charge_point_socket})
