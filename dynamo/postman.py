"""The OpenAPI document as a Postman collection of format 2.1: a folder for each tag, a request for each operation."""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]

FORMAT = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
BASE_URL = "http://127.0.0.1:8000"
JSON_BODY = {"raw": {"language": "json"}}


def collection(document: Json) -> Json:
    """Whoever imports it sets `base_url` and `api_key`, once."""
    folders: dict[str, list[Json]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            folders.setdefault(operation["tags"][0], []).append(item(document, path, method, operation))
    info = document["info"]
    return {
        "info": {
            # The same for every version of it, so that an import replaces the one before.
            "_postman_id": str(uuid.uuid5(uuid.NAMESPACE_URL, FORMAT + info["title"])),
            "name": info["title"],
            "description": info["description"],
            "schema": FORMAT,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{api_key}}", "type": "string"}]},
        "variable": [{"key": "base_url", "value": BASE_URL}, {"key": "api_key", "value": ""}],
        "item": [{"name": name, "item": items} for name, items in folders.items()],
    }


def item(document: Json, path: str, method: str, operation: Json) -> Json:
    """An operation, with its first example as the body, and the examples of its answers."""
    parameters = [resolve(document, each) for each in operation.get("parameters", [])]
    request: Json = {
        "method": method.upper(),
        "description": operation.get("description", ""),
        "header": [described(each) for each in parameters if each["in"] == "header"],
        "url": url(path, parameters),
    }
    examples = examples_of(operation.get("requestBody", {}))
    if examples:
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        request["body"] = {"mode": "raw", "raw": text(examples[0]), "options": JSON_BODY}
    answers = {int(status): resolve(document, answer) for status, answer in operation["responses"].items()}
    saved = [
        response(status, example, request)
        for status, answer in answers.items()
        if status < 300
        for example in examples_of(answer)
    ]
    return {"name": operation["summary"], "request": request, "response": saved}


def url(path: str, parameters: list[Json]) -> Json:
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in path.strip("/").split("/")]
    return {
        "raw": "/".join(["{{base_url}}", *segments]),
        "host": ["{{base_url}}"],
        "path": segments,
        "query": [described(each) for each in parameters if each["in"] == "query"],
        "variable": [{**described(each), "disabled": False} for each in parameters if each["in"] == "path"],
    }


def described(parameter: Json) -> Json:
    """A parameter that is not sent before somebody ticks it, unless it must be."""
    schema = parameter["schema"]
    value = schema.get("default", next(iter(schema.get("enum", [])), ""))
    return {
        "key": parameter["name"],
        "value": str(value),
        "description": parameter.get("description", ""),
        "disabled": not parameter.get("required", False),
    }


def response(status: int, example: Any, request: Json) -> Json:
    phrase = HTTPStatus(status).phrase
    return {
        "name": phrase,
        "originalRequest": request,
        "status": phrase,
        "code": status,
        "_postman_previewlanguage": "json",
        "header": [{"key": "Content-Type", "value": "application/json"}],
        "cookie": [],
        "body": text(example),
    }


def examples_of(body: Json) -> list[Any]:
    examples = body.get("content", {}).get("application/json", {}).get("examples", {})
    return [example["value"] for example in examples.values()]


def text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def resolve(document: Json, of: Json) -> Json:
    """What a reference refers to; anything else is itself."""
    if "$ref" not in of:
        return of
    _, _, kind, name = of["$ref"].split("/")
    return document["components"][kind][name]
