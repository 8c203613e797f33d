"""What the OpenAPI document says in many places: of headers, and of errors."""

from __future__ import annotations

from typing import Any

from . import idempotency
from .errors import MESSAGES, envelope

Errors = dict[int, tuple[str, dict[str, Any]]]

ENVELOPE = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string", "description": "One sentence a person can act on."},
                "details": {"type": "object", "additionalProperties": True},
            },
        }
    },
}


def _header(description: str, kind: str = "string", *, required: bool = False, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": kind, **schema}}


HEADERS = {
    "X-Request-Id": _header("Finds the request in our log: your own, if you sent one.", required=True),
    "X-Command-Id": _header("The command in the log, and its OCPP message id."),
    "Location": _header("Where to look what becomes of it.", required=True),
    "Preference-Applied": _header("What of `Prefer` was heeded."),
    "ETag": _header("Names this answer, for `If-None-Match`."),
    "WWW-Authenticate": _header("`Bearer`.", required=True),
    "Retry-After": _header("Seconds.", "integer", minimum=0),
    idempotency.REPLAYED: _header(
        f"`true` where this was said before, to a request with the same {idempotency.HEADER}.", enum=["true"]
    ),
    # Of each answer to a key whose requests are limited.
    "RateLimit-Policy": _header('Requests in so many seconds: `"key";q=600;w=60`.'),
    "RateLimit": _header('Those that are left, for so long: `"key";r=599;t=60`.'),
    "X-RateLimit-Limit": _header("Requests in a minute.", "integer"),
    "X-RateLimit-Remaining": _header("Those that are left.", "integer"),
    "X-RateLimit-Reset": _header("Seconds, after which there are as many again.", "integer"),
}
IDEMPOTENCY_KEY = {
    "name": idempotency.HEADER,
    "in": "header",
    "description": (
        "A key of your own for this request, such as a UUID. Sent again within 24 hours with the same key, address and "
        f"body, it is not carried out again, but answered as it was, with `{idempotency.REPLAYED}: true`. Responses of "
        f"{', '.join(map(str, sorted(idempotency.NOT_KEPT)))} are not kept: the request may be made again, "
        "and so may one whose server died meanwhile, some minutes later."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": idempotency.MAXIMUM_LENGTH, "pattern": "^[ -~]+$"},
}
WEBHOOK_HEADERS = {
    "webhook-id": "The id of the event, the same in every attempt.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": (
        "`v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`; for each secret one, separated by spaces."
    ),
    "X-Dynamo-Signature": "`sha256=` and the hex of the HMAC-SHA256 of the body, by the whole text of the secret.",
}


def lacks(scope: str) -> dict[str, Any]:
    return envelope("forbidden", f"The API key lacks the scope {scope}.", {"required_scope": scope})


def _invalid(field: str, problem: str) -> dict[str, Any]:
    return {"validation_error": envelope("validation_error", f"{field}: {problem}", {field: [problem]})}


def _not_found(what: str) -> dict[str, Any]:
    return {"not_found": envelope("not_found", f"There is no such {what} in your organization.")}


_too_many_requests = envelope(
    "rate_limited", "More than 600 requests in a minute with this API key.", {"requests_per_minute": 600}
)
_too_many_commands = envelope("rate_limited", "More than 10 commands in one second, or waiting, for this charge point.")
_text_plain = 'Unsupported media type "text/plain" in request.'
_taken = "A charge point of this id exists already."
_refused = {"status": "Rejected", "response": {"status": "Rejected"}}
_limited = {"command": "Reset", "allowed_commands": ["RemoteStartTransaction", "RemoteStopTransaction"]}

ERRORS: Errors = {
    400: (
        "A field or parameter is missing, invalid or unknown; nothing was sent or changed.",
        _invalid("connector_id", "Must be at least 1."),
    ),
    401: ("Missing or invalid API key.", {"unauthorized": envelope("unauthorized", "Missing or invalid API key.")}),
    403: ("The key lacks the scope, or is limited to other commands or to some charge points.", {}),
    404: ("There is no such thing in your organization.", _not_found("charge point")),
    408: (
        "The charge point did not answer within the timeout.",
        {"timeout": envelope("timeout", "The charge point did not answer in time.")},
    ),
    409: (
        "It exists already, or its state does not allow it; or a request with the same Idempotency-Key still runs.",
        {
            "conflict": envelope("conflict", f"charge_point_id: {_taken}", {"charge_point_id": [_taken]}),
            "key_not_active": envelope("key_not_active", "The key is revoked: only an active key can be rotated."),
        },
    ),
    413: ("The body is too large.", {"payload_too_large": envelope("payload_too_large", MESSAGES[413])}),
    415: (
        "The body is not application/json.",
        {"unsupported_media_type": envelope("unsupported_media_type", _text_plain)},
    ),
    422: ("The Idempotency-Key was used for another request.", {}),
    429: (
        "More requests than the API key may make in a minute; see Retry-After.",
        {"key_rate_limited": _too_many_requests},
    ),
    500: ("A fault on our side.", {"internal_error": envelope("internal_error", MESSAGES[500])}),
    503: (
        "The database or the channel layer is not available.",
        {"service_unavailable": envelope("service_unavailable", MESSAGES[503])},
    ),
}
COMMAND_ERRORS: Errors = {
    403: (
        "The key lacks the scope, or is limited to other commands.",
        {"command_not_allowed": envelope("forbidden", "The API key may not send Reset.", _limited)},
    ),
    409: ("A request with the same Idempotency-Key still runs.", {}),
    422: (
        "The charge point is not connected, or it refused; or the Idempotency-Key was used for another request.",
        {
            "charge_point_offline": envelope("charge_point_offline", "The charge point is not connected."),
            "ocpp_rejected": envelope("ocpp_rejected", "The charge point rejected Reset.", _refused),
        },
    ),
    429: (
        "More than 10 commands in a second, or waiting, for this charge point, or more requests than the API key may "
        "make in a minute; see Retry-After.",
        {"rate_limited": _too_many_commands, "key_rate_limited": _too_many_requests},
    ),
}
DELETION_ERRORS: Errors = {
    409: (
        "The charge point is not a simulated one.",
        {"not_simulated": envelope("not_simulated", "CP-SITE42-001 is not simulated: its sessions are bills.")},
    ),
}
ORDER_ERRORS: Errors = {
    409: (
        "The charge point is not a simulated one; or a request with the same Idempotency-Key still runs.",
        {"not_simulated": envelope("not_simulated", "CP-SITE42-001 is not simulated: it obeys people and vehicles.")},
    ),
    422: (
        "The charge point is not connected, or what is ordered cannot happen there; or the Idempotency-Key was used "
        "for another request.",
        {
            "charge_point_offline": envelope("charge_point_offline", "The charge point is not connected."),
            "ocpp_rejected": envelope("ocpp_rejected", "A vehicle is plugged in already.", _refused),
        },
    ),
}
WEBHOOK_ERRORS: Errors = {
    400: ("A field is missing or invalid.", _invalid("url", "Must begin with https://.")),
    404: ("There is no such endpoint in your organization, or no such delivery to it.", _not_found("endpoint")),
}
