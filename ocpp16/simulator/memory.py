"""What a simulated charge point still knows after its process ended: a dict that JSON can hold."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import Reason

from .charge_point import ChargePoint
from .connector import Connector
from .makes import parse_time
from .transaction import Transaction


def recollect(charge_point: ChargePoint) -> dict[str, Any]:
    """All that outlives a loss of power."""
    return {
        "firmware": charge_point.firmware,
        "operative": charge_point.operative,
        "connectors": [_recollect_connector(connector) for connector in charge_point.connectors],
        "untold": [_recollect_session(charge_point, transaction) for transaction in charge_point.untold],
    }


def _recollect_connector(connector: Connector) -> dict[str, Any]:
    return {"energy": connector.energy, "operative": connector.operative}


def _recollect_session(charge_point: ChargePoint, transaction: Transaction) -> dict[str, Any]:
    """A session as it is told later: one that runs ends here, with the power."""
    connector = charge_point.connectors[transaction.start.connector_id - 1]
    stop = transaction.stop or connector.stop_now(Reason.power_loss)
    return {"id": transaction.id, "start": asdict(transaction.start), "stop": asdict(stop)}


def restore(charge_point: ChargePoint, memory: dict[str, Any]) -> None:
    """Take up what `recollect` gave, and tell what the central system may not have heard."""
    charge_point.firmware, charge_point.operative = memory["firmware"], memory["operative"]
    for connector, known in zip(charge_point.connectors, memory["connectors"], strict=True):
        connector.energy, connector.operative = known["energy"], known["operative"]
        connector.settle()
    for known in memory.get("untold", ()):  # older releases did not remember them
        start, stop = call.StartTransaction(**known["start"]), call.StopTransaction(**known["stop"])
        connector = charge_point.connectors[start.connector_id - 1]
        connector.tell(Transaction(start, parse_time(start.timestamp), known["id"], stop))
