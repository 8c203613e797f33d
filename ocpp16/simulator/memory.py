"""What a simulated charge point still knows after its process ended: a dict that JSON can hold."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from ocpp.v16 import call
from ocpp.v16.enums import Reason

from .charge_point import ChargePoint
from .connector import Connector
from .makes import now


def recollect(charge_point: ChargePoint) -> dict[str, Any]:
    """All that outlives a loss of power."""
    return {
        "firmware": charge_point.firmware,
        "operative": charge_point.operative,
        "connectors": [_recollect_connector(connector) for connector in charge_point.connectors],
    }


def _recollect_connector(connector: Connector) -> dict[str, Any]:
    return {
        "energy": connector.energy,
        "operative": connector.operative,
        "transaction_id": connector.transaction.id if connector.transaction else None,
        "at": connector.make.timestamp(now()),
    }


def restore(charge_point: ChargePoint, memory: dict[str, Any]) -> None:
    """Take up what `recollect` gave; a session that was running has ended with the power."""
    charge_point.firmware, charge_point.operative = memory["firmware"], memory["operative"]
    for connector, known in zip(charge_point.connectors, memory["connectors"], strict=True):
        connector.energy, connector.operative = known["energy"], known["operative"]
        connector.settle()
        if known["transaction_id"] is not None:
            stop = call.StopTransaction(int(known["energy"]), known["at"], known["transaction_id"], Reason.power_loss)
            charge_point.post(partial(replace, stop), kept=True)
