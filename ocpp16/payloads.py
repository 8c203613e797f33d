"""What OCPP 1.6 says of payloads: its actions, their schemas (the `ocpp` package's), and what is repaired. No I/O."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import chain, islice
from pathlib import Path
from typing import Any

import jsonschema_rs

from apikeys.actions import COMMAND_ACTIONS

from .repairs import Repair

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
NO_NUL = r"^[^\x00]*$"

# OCPP 1.6 edition 2 section 4 and the security white paper: from the charge point.
CHARGE_POINT_ACTIONS = (
    "Authorize",
    "BootNotification",
    "DataTransfer",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "LogStatusNotification",
    "MeterValues",
    "SecurityEventNotification",
    "SignCertificate",
    "SignedFirmwareStatusNotification",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
)

# Strictness in these would brick hardware or lose money, so what can be read is repaired instead of refused.
TOLERATED = frozenset({"BootNotification", "MeterValues", "StartTransaction", "StatusNotification", "StopTransaction"})

# More faults than this tell the sender of a message nothing.
MAXIMUM_FAULTS = 200


class InvalidPayload(Exception):
    """A payload that OCPP refuses: `code` is the errorCode of the CALLERROR, `details` maps field paths to messages."""

    def __init__(self, code: str, description: str, details: dict[str, list[str]] | None = None) -> None:
        super().__init__(description)
        self.code, self.description, self.details = code, description, details or {}


def read_call(action: str, payload: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Check a CALL from a charge point; returns its payload, repaired where tolerated, and the findings {kind: detail}.

    Raises InvalidPayload with the code that PROTOCOL of OCPP-J section 4.2.3 gives.
    """
    if action not in CHARGE_POINT_ACTIONS:
        known = action in COMMAND_ACTIONS
        raise InvalidPayload(
            "NotSupported" if known else "NotImplemented", f"Action {action[:50]!r} is not taken here."
        )
    findings: dict[str, str] = {}
    if _is_valid(action, payload):
        return payload, findings
    if any(unstorable(text) for text in _strings(payload)):
        payload = _clean(action, payload, findings)
    elif action not in TOLERATED:
        raise _refusal(_errors(action, payload))
    payload = Repair(action, findings).payload(_schema(action), payload)
    # Lists were read item by item; what can still be wrong is above them.
    above = {name: [] if isinstance(value, list) else value for name, value in payload.items()}
    errors = [error for error in _errors(action, above) if not _is_stored_as_it_came(error)]
    if errors:
        raise _refusal(errors)
    return payload, findings


def validate_command(action: str, payload: dict[str, Any]) -> None:
    """Raise InvalidPayload, with a message for each field, unless `payload` fits the schema of our CALL `action`."""
    if any(unstorable(text) for text in _strings(payload)):
        raise _unstorable_text()
    errors = _errors(action, payload)
    if errors:
        raise _refusal(errors)
    password = secret(action, payload)
    if password and not 16 <= len(password.encode()) <= 40:
        problem = "An AuthorizationKey has 16 to 40 characters."
        raise InvalidPayload("PropertyConstraintViolation", problem, {"value": [problem]})


# What may carry one.
SECRET_ACTIONS = ["ChangeConfiguration"]


def secret(action: str, payload: dict[str, Any]) -> str:
    """The password that our CALL gives the charge point (its AuthorizationKey), or ''."""
    is_password = action in SECRET_ACTIONS and str(payload.get("key", "")).lower() == "authorizationkey"
    return payload["value"] if is_password else ""


def masked(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload as a log may hold it."""
    return {**payload, "value": "***"} if secret(action, payload) else payload


def fits_response(action: str, payload: Any) -> bool:
    """Whether a CALLRESULT can be read as the answer to our CALL `action`.

    Members of the vendor's own, over-long texts and configuration values that are not strings do no harm.
    """
    return isinstance(payload, dict) and all(_is_harmless(error) for error in _errors(f"{action}Response", payload))


def _is_harmless(error: jsonschema_rs.ValidationError) -> bool:
    if error.kind.name in ("additionalProperties", "maxLength", "multipleOf"):
        return True
    path = error.instance_path
    return len(path) == 3 and path[0] == "configurationKey" and path[2] == "value"


def in_order(action: str, payload: dict[str, Any]) -> dict[str, Any]:
    """The payload with its members in the order of the specification: some stacks match text."""
    return _ordered(_schema(action), payload)


def _ordered(schema: dict[str, Any], value: Any) -> Any:
    if isinstance(value, list):
        return [_ordered(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known = {name: inner for name, inner in schema.get("properties", {}).items() if name in value}
    ordered = {name: _ordered(inner, value[name]) for name, inner in known.items()}
    return ordered | {name: inner for name, inner in value.items() if name not in known}


def _is_stored_as_it_came(error: jsonschema_rs.ValidationError) -> bool:
    """Whether a repaired payload may keep this fault: a word of the vendor's own, an empty list."""
    kind = error.kind.name
    return kind == "minItems" or (kind == "enum" and list(error.instance_path) != ["status"])


def _clean(action: str, payload: dict[str, Any], findings: dict[str, str]) -> dict[str, Any]:
    """Without NULs and surrogates, which no database stores; an id tag must not be guessed at."""
    if action not in TOLERATED:
        raise _unstorable_text()
    payload = _clean_id_tag(action, payload, findings)
    cleaned: dict[str, Any] = storable(payload)
    if cleaned != payload:
        findings[f"{action}.text"] = "NUL or half a surrogate pair"
    return cleaned


def _clean_id_tag(action: str, payload: dict[str, Any], findings: dict[str, str]) -> dict[str, Any]:
    """With an id tag that can be stored, or without one where only a stop would be lost for it."""
    id_tag = payload.get("idTag")
    if not isinstance(id_tag, str) or not unstorable(id_tag):
        return payload
    unpadded = id_tag.rstrip("\x00")
    if unpadded and not unstorable(unpadded):
        findings[f"{action}.idTag"] = "padded with NULs"
        return {**payload, "idTag": unpadded}
    if action != "StopTransaction":
        raise _unstorable_text()
    findings[f"{action}.idTag"] = "dropped: NUL or half a surrogate pair"
    return {name: value for name, value in payload.items() if name != "idTag"}


def _unstorable_text() -> InvalidPayload:
    return InvalidPayload("PropertyConstraintViolation", "Text holds a NUL or half a surrogate pair.")


def _refusal(errors: list[jsonschema_rs.ValidationError]) -> InvalidPayload:
    order = ["FormationViolation", "OccurenceConstraintViolation", "TypeConstraintViolation"]
    order.append("PropertyConstraintViolation")
    worst = min(errors, key=lambda error: order.index(_code(error)))
    details: dict[str, list[str]] = {}
    for path, text in islice(chain.from_iterable(map(_messages, errors)), MAXIMUM_FAULTS):
        details.setdefault(path, []).append(text)
    return InvalidPayload(_code(worst), f"{next(_messages(worst))[0]}: {worst.message}".lstrip(": "), details)


def _messages(error: jsonschema_rs.ValidationError) -> Iterator[tuple[str, str]]:
    base = ""
    for step in error.instance_path:
        base += f"[{step}]" if isinstance(step, int) else f".{step}" if base else str(step)
    if error.kind.name == "required":
        yield f"{base}.{error.kind.as_dict()['property']}".lstrip("."), "This field is required."
    elif error.kind.name == "additionalProperties":
        for name in error.kind.as_dict()["unexpected"]:
            yield f"{base}.{name}".lstrip("."), "Unknown field."
    else:
        yield base, error.message


def _code(error: jsonschema_rs.ValidationError) -> str:
    return {
        "additionalProperties": "FormationViolation",
        "required": "OccurenceConstraintViolation",
        "type": "TypeConstraintViolation",
    }.get(error.kind.name, "PropertyConstraintViolation")


def choices(name: str, member: str) -> set[str]:
    """The words that a member of a payload may be."""
    return set(_schema(name)["properties"][member]["enum"])


@cache
def _schema(name: str) -> dict[str, Any]:
    # Not by importing the package, which loads much that no server needs.
    package = find_spec("ocpp")
    assert package is not None
    assert package.origin is not None
    return json.loads((Path(package.origin).parent / "v16" / "schemas" / f"{name}.json").read_text("utf-8-sig"))


@cache
def _validator(name: str) -> Any:
    # What charge points call a date-time is read by `times`, which forgives more than the format does.
    return jsonschema_rs.validator_for(_without_nul(_schema(name)), validate_formats=name in COMMAND_ACTIONS)


def _without_nul(schema: Any) -> Any:
    """The schema, which then refuses NULs too: names and words are listed in it, and other text has a pattern."""
    if isinstance(schema, list):
        return [_without_nul(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    pattern = {"pattern": NO_NUL} if schema.get("type") == "string" and "enum" not in schema else {}
    return {name: _without_nul(inner) for name, inner in schema.items()} | pattern


def _is_valid(action: str, payload: dict[str, Any]) -> bool:
    """Whether the payload needs neither repair nor refusal; text that is valid can be stored."""
    try:
        return bool(_validator(action).is_valid(payload))
    except ValueError:  # half a surrogate pair, which the validator cannot read
        return False


def _errors(name: str, payload: Any) -> list[jsonschema_rs.ValidationError]:
    validator = _validator(name)
    try:
        return [] if validator.is_valid(payload) else list(validator.iter_errors(payload))
    except ValueError as error:  # infinity by way of 1e999
        raise InvalidPayload("TypeConstraintViolation", str(error)) from None


def unstorable(text: str) -> bool:
    """Whether the text holds a NUL or half a surrogate pair, which no database stores."""
    return UNSTORABLE.search(text) is not None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def storable(value: Any) -> Any:
    """The same value without what databases refuse: NULs, surrogates, numbers beyond JSON."""
    if isinstance(value, str):
        return (
            value
            if not unstorable(value)
            else "".join(c for c in value if c != "\x00" and not "\ud800" <= c <= "\udfff")
        )
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [storable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
