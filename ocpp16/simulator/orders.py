"""What can be ordered of a simulated charge point by DataTransfer: what people, vehicles and networks do to a real one.

The message id names the order, the data are a JSON object. What is Rejected tells why in its data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from . import errands
from .connector import Connector
from .terms import ERROR_CODES, LONGEST_ABSENCE

if TYPE_CHECKING:
    from .charge_point import ChargePoint

Errand = Coroutine[Any, Any, None]
T = TypeVar("T")


class Refused(Exception):
    """The order cannot be carried out."""


def carry_out(charge_point: ChargePoint, message_id: str, data: str) -> Errand | None:
    """Do one of ORDERS; returns what goes on after the answer. Raises Refused."""
    try:
        arguments = json.loads(data)
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        raise Refused("The data must be a JSON object.")
    return ORDERS[message_id](charge_point, arguments)


def given(arguments: dict[str, Any], name: str, kind: type[T]) -> T:
    value = arguments.get(name)
    if not isinstance(value, kind):
        raise Refused(f"{name} is missing or of another type.")
    return value


def connector_of(charge_point: ChargePoint, arguments: dict[str, Any]) -> Connector:
    connector = charge_point.connector(given(arguments, "connectorId", int))
    if connector is None:
        raise Refused(f"It has the connectors 1 to {len(charge_point.connectors)}.")
    return connector


def plug_in(charge_point: ChargePoint, arguments: dict[str, Any]) -> Errand | None:
    """A vehicle is plugged in, and stays until it is unplugged; with an id tag, that is presented at once."""
    connector = connector_of(charge_point, arguments)
    id_tag = given(arguments, "idTag", str) if "idTag" in arguments else None
    if connector.status in ("Faulted", "Unavailable"):
        raise Refused(f"The connector is {connector.status}.")
    if connector.vehicle is not None:
        raise Refused("A vehicle is plugged in already.")
    vehicle = charge_point.arriving_vehicle()
    vehicle.stays = True
    connector.plug_in(vehicle)
    return None if id_tag is None else errands.begin(connector, id_tag)


def present_id_tag(charge_point: ChargePoint, arguments: dict[str, Any]) -> Errand:
    """A driver presents a tag: the session of the vehicle at the connector begins, or ends."""
    connector, id_tag = connector_of(charge_point, arguments), given(arguments, "idTag", str)
    transaction = connector.transaction
    if transaction is not None:
        return errands.stop_by(connector, transaction, id_tag)
    if connector.vehicle is None:
        raise Refused("No vehicle is plugged in.")
    if not connector.admits(id_tag):
        raise Refused(f"No session can begin: the connector is {connector.status}.")
    return errands.begin(connector, id_tag)


def unplug(charge_point: ChargePoint, arguments: dict[str, Any]) -> None:
    """The vehicle leaves; its session ends."""
    connector = connector_of(charge_point, arguments)
    if connector.vehicle is None:
        raise Refused("No vehicle is plugged in.")
    connector.unplug()


def fault(charge_point: ChargePoint, arguments: dict[str, Any]) -> None:
    """A connector breaks down; its session ends."""
    connector, error_code = connector_of(charge_point, arguments), given(arguments, "errorCode", str)
    if error_code not in ERROR_CODES:
        raise Refused(f"errorCode must be one of: {', '.join(ERROR_CODES)}.")
    connector.break_down(error_code, str(arguments.get("info", "")))


def clear_fault(charge_point: ChargePoint, arguments: dict[str, Any]) -> None:
    """A connector is repaired; no vehicle is plugged in any more."""
    connector = connector_of(charge_point, arguments)
    if connector.fault is None:
        raise Refused("The connector has no fault.")
    connector.repair()


def go_offline(charge_point: ChargePoint, arguments: dict[str, Any]) -> Errand:
    """The connection is lost for so many seconds; what happens meanwhile is told afterwards."""
    seconds = given(arguments, "seconds", int)
    if not 1 <= seconds <= LONGEST_ABSENCE:
        raise Refused(f"seconds must be from 1 to {LONGEST_ABSENCE}.")
    return errands.go_offline(charge_point, seconds)


ORDERS: dict[str, Callable[[ChargePoint, dict[str, Any]], Errand | None]] = {
    "PlugIn": plug_in,
    "PresentIdTag": present_id_tag,
    "Unplug": unplug,
    "Fault": fault,
    "ClearFault": clear_fault,
    "GoOffline": go_offline,
}
