"""OCPP-J 1.6 frames: text to messages and back. No I/O."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from chargepoints.json_text import canonical, compact

from .payloads import InvalidPayload, storable, unstorable

CALL, CALL_RESULT, CALL_ERROR = 2, 3, 4
MESSAGE_ID_LENGTH = 36
NO_MESSAGE_ID = "-1"
# OCPP needs ten. Beyond this, whatever walks the payload later would run out of stack: validator, database, we.
MAXIMUM_DEPTH = 64


class NoNumber(Exception):
    """NaN, Infinity or -Infinity, which Python reads and JSON does not have."""


class Malformed(Exception):
    """A frame that cannot be answered by its id; `code` is the CALLERROR to send."""

    code = "FormationViolation"


@dataclass(slots=True)
class Call:
    """[2, id, action, payload]; `fault` says why it can only be answered with a CALLERROR.

    `mark` is equal for equal payloads of one process.
    """

    message_id: str
    action: str
    payload: dict[str, Any]
    fault: InvalidPayload | None = None
    mark: int = field(default=0, compare=False)
    arrived_at: float = field(default_factory=time.monotonic, compare=False)


@dataclass(slots=True)
class CallResult:
    """[3, id, payload]; the payload is whatever the peer sent."""

    message_id: str
    payload: Any


@dataclass(slots=True)
class CallError:
    """[4, id, code, description, details]; what the peer left out is empty."""

    message_id: str
    code: str
    description: str = ""
    details: Any = field(default_factory=dict)


Frame = Call | CallResult | CallError


def parse(text: str) -> Frame | None:
    """The message in a text frame; None for a message type that OCPP-J 1.6 does not know (section 4.1.3: ignore)."""
    message, constants = _read(text)
    if not isinstance(message, list) or not message:
        raise Malformed("The frame is not a JSON array.")
    if text.count("[") + text.count("{") > MAXIMUM_DEPTH and _is_deep(message):
        raise Malformed("The frame is nested too deeply.")
    kind = message[0]
    if type(kind) is not int or kind not in (CALL, CALL_RESULT, CALL_ERROR):
        return None
    message_id = message[1] if len(message) > 1 else None
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MESSAGE_ID_LENGTH or unstorable(message_id):
        raise Malformed(f"The message id is not a string of 1 to {MESSAGE_ID_LENGTH} characters.")
    if kind == CALL_RESULT:
        return CallResult(message_id, storable(message[2] if len(message) > 2 else {}))
    if kind == CALL_ERROR:
        return _call_error(message_id, storable(message[2:]))
    call = _call(message_id, message[2:])
    if call.payload:
        call.mark = hash(canonical(call.payload))
    if constants and call.fault is None:
        call.fault = InvalidPayload("TypeConstraintViolation", f"{constants[0]} is not a JSON number.")
    return call


def _read(text: str) -> tuple[Any, list[str]]:
    """The JSON value, and the constants in it that are no JSON numbers, which are None there."""
    constants: list[str] = []
    try:
        try:
            return _decode(text), constants
        except NoNumber:
            return json.loads(text, parse_constant=constants.append), constants
    except (ValueError, RecursionError):
        raise Malformed("The frame is not JSON.") from None


def _refuse_constant(name: str) -> None:
    raise NoNumber(name)


# Made once: `json.loads` makes one for each call that asks for anything but the defaults.
_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _is_deep(message: list[Any]) -> bool:
    level: list[Any] = [message]
    for _ in range(MAXIMUM_DEPTH):
        members = [value.values() if isinstance(value, dict) else value for value in level]
        level = [inner for values in members for inner in values if isinstance(inner, list | dict)]
        if not level:
            return False
    return True


def _call(message_id: str, rest: list[Any]) -> Call:
    action, payload = (*rest, None, None)[:2]
    if payload is None and len(rest) == 2:
        payload = {}
    call = Call(message_id, action if isinstance(action, str) else "", payload if isinstance(payload, dict) else {})
    if len(rest) != 2 or not isinstance(action, str) or not isinstance(payload, dict):
        call.fault = InvalidPayload("FormationViolation", "A CALL is [2, id, action, payload object].")
    elif unstorable(action):
        call.fault = InvalidPayload("NotImplemented", "Unknown action.")
        call.action = ""
    return call


def _call_error(message_id: str, rest: list[Any]) -> CallError:
    code, description, details = (*rest, None, None, None)[:3]
    code = code if isinstance(code, str) else "GenericError"
    return CallError(message_id, code, description if isinstance(description, str) else "", details or {})


def call(message_id: str, action: str, payload: dict[str, Any]) -> str:
    return compact([CALL, message_id, action, payload])


def call_result(message_id: str, payload: dict[str, Any]) -> str:
    return compact([CALL_RESULT, message_id, payload])


def call_error(message_id: str, code: str, description: str = "", details: dict[str, Any] | None = None) -> str:
    """The text of a CALLERROR; the description is cut to the 255 characters of OCPP-J section 4.2.3."""
    return compact([CALL_ERROR, message_id, code, description[:255], details or {}])
