"""What the OpenAPI document says of every operation alike: how errors look, and which are to be expected."""

from __future__ import annotations

from typing import Any

from chargepoints.events import EVENTS

from . import idempotency
from .errors import envelope

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

ALWAYS = (401, 403, 429, 500, 503)
WITH_INPUT = (400,)
WITH_CHARGE_POINT = (404,)
WITH_BODY = (413, 415)
CONFLICTING = (409,)
COMMANDS = (408, 422)
# Its commands have all of these; its reads ignore parameters that it does not name.
OF_THE_REFERENCE = "/api/v1/ocpp16/"

COMMAND_HEADERS = {
    "X-Command-Id": {"description": "The command in the log, and its OCPP message id.", "schema": {"type": "string"}}
}
LOCATION_HEADERS = {
    "Location": {"description": "Where to look what becomes of the command.", "schema": {"type": "string"}}
}
REPLAYED_HEADERS = {
    idempotency.REPLAYED: {
        "description": f"`true` where this was said before, to a request with the same {idempotency.HEADER}.",
        "schema": {"type": "string", "enum": ["true"]},
    }
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
NOT_REPLAYED = {str(status) for status in (*idempotency.NOT_KEPT, 409)}
# Of each answer to a key whose requests are limited.
RATE_HEADERS = {
    "RateLimit-Policy": {
        "description": 'Requests in so many seconds: `"key";q=600;w=60`.',
        "schema": {"type": "string"},
    },
    "RateLimit": {"description": 'Those that are left, for so long: `"key";r=599;t=60`.', "schema": {"type": "string"}},
    "X-RateLimit-Limit": {"description": "Requests in a minute.", "schema": {"type": "integer"}},
    "X-RateLimit-Remaining": {"description": "Those that are left.", "schema": {"type": "integer"}},
    "X-RateLimit-Reset": {
        "description": "Seconds, after which there are as many again.",
        "schema": {"type": "integer"},
    },
}
ETAG_HEADERS = {
    "ETag": {"description": "Names this answer, for `If-None-Match`.", "schema": {"type": "string"}},
}
RETRY_HEADERS = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}

WEBHOOK_HEADERS = {
    "webhook-id": "The id of the event, the same in every attempt.",
    "webhook-timestamp": "When this attempt was made, in seconds since 1970.",
    "webhook-signature": (
        "`v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`; for each secret one, separated by spaces."
    ),
    "X-Dynamo-Signature": "`sha256=` and the hex of the HMAC-SHA256 of the body, by the whole text of the secret.",
}

MEANINGS = {
    400: "A field or parameter is missing, invalid or unknown; nothing was sent or changed.",
    401: "Missing or invalid API key.",
    403: "The key lacks the scope.",
    404: "There is no such thing in your organization.",
    408: "The charge point did not answer within the timeout.",
    409: "It exists already, or its state does not allow it; or a request with the same Idempotency-Key still runs.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    422: "The charge point is not connected, or it refused; or the Idempotency-Key was used for another request.",
    429: (
        "More requests than the API key may make in a minute or, for a command, more than 10 in a second, or waiting, "
        "for this charge point; see Retry-After."
    ),
    500: "A fault on our side.",
    503: "The database or the channel layer is not available.",
}
EXAMPLES: dict[int, dict[str, dict[str, Any]]] = {
    400: {
        "validation_error": envelope(
            "validation_error",
            "connector_id: Must be at least 1.",
            {"connector_id": ["Must be at least 1."]},
        )
    },
    401: {"unauthorized": envelope("unauthorized", "Missing or invalid API key.")},
    403: {
        "forbidden": envelope(
            "forbidden",
            "The API key lacks the scope write:charge_points.",
            {"required_scope": "write:charge_points"},
        )
    },
    404: {"not_found": envelope("not_found", "There is no such charge point in your organization.")},
    408: {"timeout": envelope("timeout", "The charge point did not answer in time.")},
    409: {
        "conflict": envelope(
            "conflict",
            "charge_point_id: A charge point of this id exists already.",
            {"charge_point_id": ["A charge point of this id exists already."]},
        ),
        "key_not_active": envelope("key_not_active", "The key is revoked: only an active key can be rotated."),
    },
    413: {"payload_too_large": envelope("payload_too_large", "The body is larger than 1 MiB.")},
    415: {"unsupported_media_type": envelope("unsupported_media_type", "Unsupported media type in request.")},
    422: {
        "charge_point_offline": envelope("charge_point_offline", "The charge point is not connected."),
        "ocpp_rejected": envelope(
            "ocpp_rejected",
            "The charge point rejected Reset.",
            {"status": "Rejected", "response": {"status": "Rejected"}},
        ),
    },
    429: {
        "rate_limited": envelope(
            "rate_limited", "More than 10 commands in one second, or waiting, for this charge point."
        ),
        "key_rate_limited": envelope(
            "rate_limited", "More than 600 requests in a minute with this API key.", {"requests_per_minute": 600}
        ),
    },
    500: {"internal_error": envelope("internal_error", "Something went wrong on our side.")},
    503: {"service_unavailable": envelope("service_unavailable", "Commands cannot be delivered at the moment.")},
}
WEBHOOK_ERRORS: dict[int, tuple[str, dict[str, Any]]] = {
    400: (
        "A field is missing or invalid.",
        {
            "validation_error": envelope(
                "validation_error", "url: Must begin with https://.", {"url": ["Must begin with https://."]}
            )
        },
    ),
    403: (
        MEANINGS[403],
        {
            "forbidden": envelope(
                "forbidden", "The API key lacks the scope write:webhooks.", {"required_scope": "write:webhooks"}
            )
        },
    ),
    404: (
        "There is no such endpoint in your organization, or no such delivery to it.",
        {"not_found": envelope("not_found", "There is no such endpoint in your organization.")},
    ),
}


def describe_conditional(read: dict[str, Any]) -> None:
    """Say that a read need not be sent again."""
    read["responses"]["200"]["headers"] |= ETAG_HEADERS
    read["responses"]["304"] = {"description": "It is still what `If-None-Match` names."}


def describe_errors(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A post-processing hook of drf-spectacular: adds the errors to every operation."""
    result["components"]["schemas"]["Error"] = ENVELOPE
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            own_headers = COMMAND_HEADERS if is_command(path, operation) else {}
            for status, response in operation["responses"].items():
                if status.startswith("2"):
                    where = LOCATION_HEADERS if status == "202" else {}
                    response["headers"] = response.get("headers", {}) | own_headers | where | RATE_HEADERS
            statuses = sorted(expected_errors(path, operation))
            if operation is methods.get("get"):
                describe_conditional(operation)
            operation["responses"] |= {str(status): error_response(status, operation["tags"]) for status in statuses}
            if method == "post":
                describe_idempotency(operation)
    return result


def describe_webhooks(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """A post-processing hook: adds what we send, one request for each type of event."""
    event = result["components"]["schemas"].get("Event")
    if event is None:  # a part of the routes, without the feed
        return result
    kinds = event["discriminator"]["mapping"]
    # OpenAPI 3.0 has no place for them.
    name = "x-webhooks" if result["openapi"].startswith("3.0") else "webhooks"
    result[name] = {kind: {"post": webhook(kind, {"$ref": reference})} for kind, reference in kinds.items()}
    return result


def webhook(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": f"on_{kind.replace('.', '_')}",
        "summary": EVENTS[kind].when,
        "tags": ["Webhooks"],
        "parameters": [
            {"name": header, "in": "header", "required": True, "description": meaning, "schema": {"type": "string"}}
            for header, meaning in WEBHOOK_HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": {"2XX": {"description": "The event was received; anything else has it sent again."}},
    }


def is_command(path: str, operation: dict[str, Any]) -> bool:
    return path.startswith(OF_THE_REFERENCE) and "requestBody" in operation


def expected_errors(path: str, operation: dict[str, Any]) -> tuple[int, ...]:
    """Those that follow from what the operation takes, and those that its view names itself."""
    if is_command(path, operation):
        return ALWAYS + WITH_INPUT + WITH_CHARGE_POINT + WITH_BODY + COMMANDS
    if path.startswith(OF_THE_REFERENCE):
        return ALWAYS + (WITH_CHARGE_POINT if "{" in path else WITH_INPUT)
    of_path = WITH_CHARGE_POINT if "{" in path else ()
    of_body = WITH_BODY if "requestBody" in operation else ()
    of_state = CONFLICTING if "201" in operation["responses"] or path.endswith(("/cancel", "/stop")) else ()
    named = {int(status) for status in operation["responses"] if int(status) in MEANINGS}
    return tuple({*ALWAYS, *WITH_INPUT, *of_path, *of_body, *of_state, *named})


def describe_idempotency(operation: dict[str, Any]) -> None:
    """Tell of the key that makes a POST repeatable, and of what its answers say about it."""
    operation["parameters"] = [*operation.get("parameters", []), IDEMPOTENCY_KEY]
    responses = operation["responses"]
    for status, body in idempotency.REFUSALS.items():
        described = responses.setdefault(str(status), error_response(status, operation["tags"]))
        examples = described["content"]["application/json"].setdefault("examples", {})
        examples.setdefault(body["error"]["code"], {"value": body})
    for status, response in responses.items():
        if status not in NOT_REPLAYED:
            response["headers"] = response.get("headers", {}) | REPLAYED_HEADERS


def error_response(status: int, tags: list[str]) -> dict[str, Any]:
    of_webhooks = WEBHOOK_ERRORS.get(status) if "Webhooks" in tags else None
    meaning, shown = of_webhooks or (MEANINGS[status], EXAMPLES.get(status, {}))
    examples = {name: {"value": value} for name, value in shown.items()}
    schema = {"$ref": "#/components/schemas/Error"}
    content = {"application/json": {"schema": schema, "examples": examples}}
    headers = {"headers": RETRY_HEADERS} if status in (409, 429) else {}
    return {"description": meaning, **headers, "content": content}
