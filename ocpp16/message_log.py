"""The message log of a charge point: every frame, as it went over the wire."""

from __future__ import annotations

import django_filters
from drf_spectacular.utils import extend_schema, extend_schema_view

from apikeys.scopes import READ_SESSIONS
from chargepoints.api.filters import Before, OneOf, Since, Text
from chargepoints.api.logs import TAGS
from chargepoints.api.pages import Cursor
from chargepoints.api.rows import RowSerializer
from chargepoints.api.views import ChargePointListView

from .examples import MESSAGE
from .models import Message
from .payloads import CHARGE_POINT_ACTIONS, COMMAND_ACTIONS

ACTIONS = tuple(sorted({*CHARGE_POINT_ACTIONS, *COMMAND_ACTIONS}))


class MessageSerializer(RowSerializer[Message]):
    """A frame: `in` from the charge point or `out` to it. `kind` is OCPP-J's, 0 where it had none."""

    class Meta:
        model = Message
        fields = ["at", "direction", "kind", "message_id", "action", "frame"]


class MessageFilters(django_filters.FilterSet):
    direction = OneOf(Message.Direction.values, help_text="From the charge point, or to it.")
    action = OneOf(ACTIONS, help_text="Of this action of OCPP only.")
    message_id = Text(help_text="The CALL of this id, and its answer; of a command, the command's id.")
    since = Since("at")
    before = Before("at")


@extend_schema_view(
    get=extend_schema(
        operation_id="list_messages",
        summary="Read the messages of a charge point",
        description="As long as the retention keeps them, the newest first. They tell of sessions, too. "
        "Passwords are masked, and very long frames cut.",
        tags=TAGS,
        responses=MessageSerializer,
        examples=[MESSAGE],
    )
)
class MessagesView(ChargePointListView):
    serializer_class = MessageSerializer
    filterset_class = MessageFilters
    list_name = related = "messages"
    pages = Cursor
    further_scopes = (READ_SESSIONS,)
