"""Orders to simulated charge points, which travel as DataTransfer. A new one is a serializer, and a line of ORDERS."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from apikeys.fields import Choice, Integer, Text
from chargepoints.fields import IdTagText

from .commands import SEEN, Endpoint
from .serializers import CommandSerializer
from .simulator.terms import ERROR_CODES, LONGEST_ABSENCE, VENDOR_ID

CHARGE_POINT = {"charge_point_id": "SANDBOX-1"}


class OrderSerializer(CommandSerializer):
    """The body of an order; all but `charge_point_id` becomes the data of a DataTransfer."""

    message_id: ClassVar[str]

    def ocpp_payload(self) -> dict[str, Any]:
        return {"vendorId": VENDOR_ID, "messageId": self.message_id, "data": json.dumps(super().ocpp_payload())}


class PlugInSerializer(OrderSerializer):
    """A vehicle is plugged in, and stays until `unplug`. An `id_tag` is presented at once, and charging begins."""

    message_id = "PlugIn"

    connector_id = Integer(min_value=1)
    id_tag = IdTagText(required=False, help_text="If omitted, `present_id_tag` or a remote start begins the session.")


class PresentIdTagSerializer(OrderSerializer):
    """A driver presents a tag: the session of the vehicle at the connector begins, or its own session ends."""

    message_id = "PresentIdTag"

    connector_id = Integer(min_value=1)
    id_tag = IdTagText()


class UnplugSerializer(OrderSerializer):
    """The vehicle leaves; a session ends with the reason `EVDisconnected`."""

    message_id = "Unplug"

    connector_id = Integer(min_value=1)


class FaultSerializer(OrderSerializer):
    """The connector breaks down and is `Faulted` until `clear_fault`; a session ends with the reason `Other`."""

    message_id = "Fault"

    connector_id = Integer(min_value=1)
    error_code = Choice(ERROR_CODES, help_text="That of OCPP.")
    info = Text(required=False, max_length=50)


class ClearFaultSerializer(OrderSerializer):
    """The connector is repaired, and free: the vehicle that was at it has left."""

    message_id = "ClearFault"

    connector_id = Integer(min_value=1)


class GoOfflineSerializer(OrderSerializer):
    """The connection is lost, and comes back by itself; what happens meanwhile is told then, as a real one does."""

    message_id = "GoOffline"

    seconds = Integer(min_value=1, max_value=LONGEST_ABSENCE)


ORDERS = {
    "plug_in": Endpoint("DataTransfer", PlugInSerializer, ("connector_id", "id_tag", *SEEN), "Plug a vehicle in"),
    "present_id_tag": Endpoint(
        "DataTransfer", PresentIdTagSerializer, ("connector_id", "id_tag", *SEEN), "Present an id tag"
    ),
    "unplug": Endpoint("DataTransfer", UnplugSerializer, ("connector_id", *SEEN), "Unplug the vehicle"),
    "fault": Endpoint(
        "DataTransfer", FaultSerializer, ("connector_id", "error_code", "info", *SEEN), "Break a connector down"
    ),
    "clear_fault": Endpoint("DataTransfer", ClearFaultSerializer, ("connector_id", *SEEN), "Repair a connector"),
    "go_offline": Endpoint("DataTransfer", GoOfflineSerializer, ("seconds", *SEEN), "Lose the connection for a while"),
}

# A request of each, without the charge point.
EXAMPLES: dict[str, dict[str, Any]] = {
    "plug_in": {"connector_id": 1, "id_tag": "SANDBOX-TAG"},
    "present_id_tag": {"connector_id": 1, "id_tag": "SANDBOX-TAG"},
    "unplug": {"connector_id": 1},
    "fault": {"connector_id": 1, "error_code": "GroundFailure", "info": "Ground fault detected"},
    "clear_fault": {"connector_id": 1},
    "go_offline": {"seconds": 60},
}
