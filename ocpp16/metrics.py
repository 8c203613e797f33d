"""What operators can watch of the conversation with charge points; docs/metrics.md tells which fault shows where."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from functools import cache
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from .frames import Call
from .payloads import CHARGE_POINT_ACTIONS, COMMAND_ACTIONS

# What a charge point makes up is no label: labels are kept for ever.
ACTIONS = frozenset({*CHARGE_POINT_ACTIONS, *COMMAND_ACTIONS})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

connected = Gauge("dynamo_charge_points_connected", "Charge points with a socket on this process.")
handshakes = Gauge("dynamo_handshakes_waiting", "Handshakes that wait to be let in or refused.")
inbound = Gauge("dynamo_inbound_messages_waiting", "Messages of charge points that wait to be handled.")
outgoing = Gauge("dynamo_commands_waiting", "Commands that wait for the one in flight, or for room in the second.")

calls = Counter("dynamo_calls", "CALLs of charge points, by what became of them.", ["action", "outcome"])
answer_seconds = Histogram("dynamo_answer_seconds", "From a CALL's arrival to its answer.", ["action"], buckets=SECONDS)
repeated_starts = Counter("dynamo_starts_repeated", "Starts of a transaction that was stored before.")
malformed = Counter("dynamo_malformed_frames", "Frames that could not be read.")
closed = Counter("dynamo_connections_closed", "Sockets that the server closed, by reason.", ["reason"])
refused = Counter("dynamo_handshakes_refused", "Handshakes that ended without a socket, by reason.", ["reason"])

commands = Counter("dynamo_commands", "Commands that ended, by how.", ["action", "outcome"])
command_seconds = Histogram(
    "dynamo_command_seconds", "From sending a command to its answer.", ["action"], buckets=SECONDS
)
layer_failures = Counter("dynamo_channel_layer_failures", "What the channel layer did not carry.", ["during"])

journal_waiting = Gauge("dynamo_journal_messages_waiting", "Messages that wait to be written to the message log.")
journal_failures = Counter("dynamo_journal_failures", "Writes of the journal that failed; what was in them is kept.")
journal_dropped = Counter("dynamo_journal_messages_dropped", "Messages that the log will lack: too many waited.")
leases = Counter("dynamo_leases", "Leases of sockets that came up for renewal, by what became of them.", ["outcome"])


def known(action: str) -> str:
    return action if action in ACTIONS else "other"


def answered(call: Call, text: str | None, *, repeated: bool = False) -> None:
    """Count a CALL by its answer, None for silence, and note how long the peer waited for it."""
    action = known(call.action)
    labelled(calls, action, "repeated" if repeated else outcome_of(text)).inc()
    if text is not None:
        labelled(answer_seconds, action).observe(time.monotonic() - call.arrived_at)


@cache
def labelled(metric: Any, *labels: str) -> Any:
    """The metric with these labels, which are few; to look it up takes longer than to count."""
    return metric.labels(*labels)


def outcome_of(text: str | None) -> str:
    """`CALLRESULT`, the code of the CALLERROR, or `silence`."""
    if text is None:
        return "silence"
    return "CALLRESULT" if text.startswith("[3") else json.loads(text)[2]


def command_ended(action: str, values: dict[str, Any]) -> None:
    """Count a command by the values that its row got at its end."""
    action = known(action)
    labelled(commands, action, f"late_{values['state']}" if values.get("is_late") else values["state"]).inc()
    milliseconds = values.get("response_time_ms")
    if milliseconds is not None:
        labelled(command_seconds, action).observe(milliseconds / 1000)


def watch(sockets: Iterable[Any]) -> None:
    """Have the gauges read their values from these consumers, whenever they are asked."""
    connected.set_function(lambda: sum(1 for _ in sockets))
    inbound.set_function(lambda: sum(len(socket.inbound) for socket in sockets))
    outgoing.set_function(lambda: sum(len(socket.commands.outgoing.queue) for socket in sockets))
