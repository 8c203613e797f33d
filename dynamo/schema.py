"""What the OpenAPI document says of all operations alike: scopes, headers, errors; and of what webhooks are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from chargepoints.events import EVENTS

from . import idempotency
from .schema_texts import (
    COMMAND_ERRORS,
    DELETION_ERRORS,
    ENVELOPE,
    ERRORS,
    HEADERS,
    IDEMPOTENCY_KEY,
    ORDER_ERRORS,
    WEBHOOK_ERRORS,
    WEBHOOK_HEADERS,
    Errors,
    lacks,
)

ALWAYS = (401, 429, 500, 503)
WITH_SCOPE = (403,)
WITH_INPUT = (400,)
WITH_CHARGE_POINT = (404,)
WITH_BODY = (413, 415)
# Whoever posts may send a body that nobody has asked for.
WITH_POST = (*idempotency.REFUSALS, 413)
CONFLICTING = (409,)
COMMANDS = (408, 422)
# Its commands have all of these; its reads ignore parameters that it does not name.
OF_THE_REFERENCE = "/api/v1/ocpp16/"
# Its orders are commands, too.
OF_THE_SIMULATOR = "/api/v1/simulator/"

REQUEST_ID = "X-Request-Id"
RATE_HEADERS = ("RateLimit-Policy", "RateLimit", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
ERROR_HEADERS = {401: ("WWW-Authenticate",), 409: ("Retry-After",), 429: ("Retry-After", *RATE_HEADERS)}
NOT_REPLAYED = {*idempotency.NOT_KEPT, 409}

Json = dict[str, Any]


@dataclass(frozen=True)
class Operation:
    """One of the document's, to which is added what all have in common."""

    path: str
    method: str
    described: Json

    @property
    def responses(self) -> Json:
        return self.described["responses"]

    @property
    def has_body(self) -> bool:
        return "requestBody" in self.described

    @property
    def is_command(self) -> bool:
        return self.path.startswith((OF_THE_REFERENCE, OF_THE_SIMULATOR)) and "202" in self.responses

    @property
    def kinds(self) -> dict[str, Errors]:
        """What it is besides, by the names in its errors, and how such errors differ from those of others."""
        kinds = {
            "command": (self.is_command, COMMAND_ERRORS),
            "order": (self.is_command and self.path.startswith(OF_THE_SIMULATOR), ORDER_ERRORS),
            "deletion": (self.method == "delete", DELETION_ERRORS),
            "webhooks": ("Webhooks" in self.described["tags"], WEBHOOK_ERRORS),
        }
        return {name: errors for name, (holds, errors) in kinds.items() if holds}

    @property
    def scopes(self) -> list[str]:
        return next(iter(self.described["security"][0].values()))

    def expected_errors(self) -> set[int]:
        """Those that follow from what the operation takes, and those that its view names itself."""
        always = {*ALWAYS, *(WITH_SCOPE if self.scopes else ()), *(WITH_POST if self.is_repeatable else ())}
        if self.is_command:
            return {*always, *WITH_INPUT, *WITH_CHARGE_POINT, *WITH_BODY, *COMMANDS}
        if self.path.startswith(OF_THE_REFERENCE):
            return {*always, *(WITH_CHARGE_POINT if "{" in self.path else WITH_INPUT)}
        of_path = WITH_CHARGE_POINT if "{" in self.path else ()
        of_body = WITH_BODY if self.has_body else ()
        of_state = CONFLICTING if "201" in self.responses or self.path.endswith(("/cancel", "/stop")) else ()
        named = {int(status) for status in self.responses if int(status) in ERRORS}
        return {*always, *WITH_INPUT, *of_path, *of_body, *of_state, *named}

    @property
    def is_repeatable(self) -> bool:
        return self.method == "post"

    def is_replayed(self, status: int) -> bool:
        return self.is_repeatable and status not in NOT_REPLAYED

    def describe_scopes(self) -> None:
        """Say it in words, too: Swagger UI shows the roles of no scheme but OAuth's."""
        if self.scopes:
            needed = f"Requires the scope {' and '.join(f'`{scope}`' for scope in self.scopes)}."
            self.described["description"] = f"{self.described.get('description', '')}\n\n{needed}".lstrip()

    def describe_query(self) -> None:
        """A parameter that is given holds something."""
        for parameter in self.described.get("parameters", []):
            schema = parameter.get("schema", {})
            if parameter.get("in") == "query" and schema.get("type") == "string" and "format" not in schema:
                schema.setdefault("minLength", 1)

    def describe_answers(self) -> None:
        for status, response in self.responses.items():
            if status.startswith("2"):
                response["headers"] = response.get("headers", {}) | headers(*self.answer_headers(status))
        if self.method == "get":
            unchanged = "It is still what `If-None-Match` names."
            self.responses["304"] = {"description": unchanged, "headers": headers(REQUEST_ID, "ETag", *RATE_HEADERS)}
        if self.is_repeatable:
            self.described["parameters"] = [
                *self.described.get("parameters", []),
                reference("parameters", idempotency.HEADER),
            ]

    def answer_headers(self, status: str) -> Iterator[str]:
        yield from (REQUEST_ID, *RATE_HEADERS)
        yield from ("ETag",) if self.method == "get" else ()
        yield from ("X-Command-Id", "Preference-Applied") if self.is_command else ()
        yield from ("Location",) if status == "202" else ()
        yield from (idempotency.REPLAYED,) if self.is_repeatable else ()

    def error_name(self, status: int) -> str:
        """That of a component: what two operations call the same looks the same."""
        of_scope = [scope.replace(":", "_") for scope in self.scopes] if status == 403 else []
        of_kinds = [kind for kind, errors in self.kinds.items() if status in errors]
        of_post = ["post"] if self.is_replayed(status) or (self.is_repeatable and status in (409, 422)) else []
        return ".".join([f"Error{status}", *of_scope, *of_kinds, *of_post])

    def error_response(self, status: int) -> Json:
        meaning, common = reduce(or_, self.kinds.values(), ERRORS)[status]
        examples = dict(common)
        if status == 403:
            examples |= {f"lacks_{scope.replace(':', '_')}": lacks(scope) for scope in self.scopes}
        if self.is_repeatable and status in idempotency.REFUSALS:
            refusal = idempotency.REFUSALS[status]
            examples.setdefault(refusal["error"]["code"], refusal)
        names = [REQUEST_ID, *ERROR_HEADERS.get(status, ())]
        if self.is_replayed(status):
            names.append(idempotency.REPLAYED)
        content = {"schema": reference("schemas", "Error"), "examples": {n: {"value": v} for n, v in examples.items()}}
        return {"description": meaning, "headers": headers(*names), "content": {"application/json": content}}


def reference(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}


def headers(*names: str) -> Json:
    return {name: reference("headers", name) for name in names}


def describe_operations(result: Json, **kwargs: Any) -> Json:
    """A post-processing hook of drf-spectacular: adds scopes, headers and errors to every operation.

    What many have in common is written once, as a component.
    """
    errors: Json = {}
    for operation in operations(result):
        expected = operation.expected_errors()
        operation.describe_scopes()
        operation.describe_query()
        operation.describe_answers()
        for status in expected:
            name = operation.error_name(status)
            errors[name] = operation.error_response(status)
            operation.responses[str(status)] = reference("responses", name)
        operation.described["responses"] = dict(sorted(operation.responses.items()))
    components = {
        "headers": HEADERS,
        "parameters": {idempotency.HEADER: IDEMPOTENCY_KEY},
        "responses": dict(sorted(errors.items())),
    }
    result["components"] |= components
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request"):
            schema["additionalProperties"] = False  # unknown members are refused
    result["components"]["schemas"]["Error"] = ENVELOPE
    return result


def operations(result: Json) -> list[Operation]:
    return [
        Operation(path, method, described)
        for path, methods in result["paths"].items()
        for method, described in methods.items()
    ]


def describe_webhooks(result: Json, **kwargs: Any) -> Json:
    """A post-processing hook: adds what we send, one request for each type of event."""
    event = result["components"]["schemas"].get("Event")
    if event is None:  # a part of the routes, without the feed
        return result
    kinds = event["discriminator"]["mapping"]
    result["webhooks"] = {kind: {"post": webhook(kind, {"$ref": schema})} for kind, schema in kinds.items()}
    return result


def webhook(kind: str, schema: Json) -> Json:
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
