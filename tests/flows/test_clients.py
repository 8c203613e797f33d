"""What is made of the OpenAPI document for integrators: a Python client and a Postman collection."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import jsonschema_rs
import pytest
import yaml
from django.core.management import call_command

from dynamo import postman
from dynamo.errors import MESSAGES
from dynamo.management.commands.openapi import COMMITTED
from ocpp16.models import Command
from tests.servers import ROOT

MANUAL = ROOT / "docs" / "resources.md"
# What format 2.1 requires of the parts that the collection has.
COLLECTION = {
    "type": "object",
    "required": ["info", "item"],
    "properties": {
        "info": {
            "type": "object",
            "required": ["name", "schema"],
            "properties": {"name": {"type": "string"}, "schema": {"const": postman.FORMAT}},
        },
        "item": {"type": "array", "items": {"$ref": "#/$defs/folder"}},
        "auth": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"const": "bearer"}, "bearer": {"$ref": "#/$defs/values"}},
        },
        "variable": {"$ref": "#/$defs/values"},
    },
    "additionalProperties": False,
    "$defs": {
        "values": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key", "value"],
                "properties": {
                    "key": {"type": "string"},
                    "value": {"type": "string"},
                    "type": {"const": "string"},
                    "description": {"type": "string"},
                    "disabled": {"type": "boolean"},
                },
                "additionalProperties": False,
            },
        },
        "folder": {
            "type": "object",
            "required": ["name", "item"],
            "properties": {
                "name": {"type": "string"},
                "item": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/request_item"}},
            },
            "additionalProperties": False,
        },
        "request_item": {
            "type": "object",
            "required": ["name", "request", "response"],
            "properties": {
                "name": {"type": "string"},
                "request": {"$ref": "#/$defs/request"},
                "response": {"type": "array", "items": {"$ref": "#/$defs/response"}},
            },
            "additionalProperties": False,
        },
        "request": {
            "type": "object",
            "required": ["method", "url"],
            "properties": {
                "method": {"enum": ["GET", "POST", "PATCH", "PUT", "DELETE"]},
                "description": {"type": "string"},
                "header": {"$ref": "#/$defs/values"},
                "url": {
                    "type": "object",
                    "required": ["raw", "host", "path"],
                    "properties": {
                        "raw": {"type": "string"},
                        "host": {"type": "array", "items": {"type": "string"}},
                        "path": {"type": "array", "items": {"type": "string"}},
                        "query": {"$ref": "#/$defs/values"},
                        "variable": {"$ref": "#/$defs/values"},
                    },
                    "additionalProperties": False,
                },
                "body": {
                    "type": "object",
                    "required": ["mode", "raw"],
                    "properties": {"mode": {"const": "raw"}, "raw": {"type": "string"}, "options": {"type": "object"}},
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        },
        "response": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "originalRequest": {"$ref": "#/$defs/request"},
                "status": {"type": "string"},
                "code": {"type": "integer"},
                "_postman_previewlanguage": {"type": "string"},
                "header": {"$ref": "#/$defs/values"},
                "cookie": {"type": "array"},
                "body": {"type": "string"},
            },
            "additionalProperties": False,
        },
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clients")
    call_command("clients", str(folder))
    return folder


@pytest.fixture
def dynamo_client(folder: Path) -> Iterator[SimpleNamespace]:
    """The Python client, as whoever installed it imports it."""
    sys.path.insert(0, str(folder / "dynamo-client"))
    try:
        import dynamo_client
        from dynamo_client import models
        from dynamo_client.api.api_keys import create_api_key
        from dynamo_client.api.charge_points import list_charge_points
        from dynamo_client.api.commands import read_command, reset

        yield SimpleNamespace(
            Client=dynamo_client.AuthenticatedClient,
            models=models,
            create_api_key=create_api_key,
            list_charge_points=list_charge_points,
            read_command=read_command,
            reset=reset,
        )
    finally:
        sys.path.remove(str(folder / "dynamo-client"))


@pytest.fixture
def collection(folder: Path) -> Any:
    return json.loads((folder / "dynamo.postman_collection.json").read_text())


async def test_the_client_makes_a_key_and_sends_a_command_with_it(
    servers: Any, charge_point: Any, make_key: Callable[..., str], dynamo_client: SimpleNamespace
) -> None:
    models = dynamo_client.models
    owner = dynamo_client.Client(base_url=servers.http_url, token=make_key())
    scopes = [
        models.NewApiKeyRequestScopesItem.READCHARGE_POINTS,
        models.NewApiKeyRequestScopesItem.WRITECHARGE_POINTS,
    ]
    issued = await dynamo_client.create_api_key.asyncio(
        client=owner, body=models.NewApiKeyRequest(name="integration", scopes=scopes)
    )
    assert isinstance(issued, models.IssuedApiKey)

    client = dynamo_client.Client(base_url=servers.http_url, token=issued.key)
    listed = await dynamo_client.list_charge_points.asyncio(client=client)
    (row,) = listed.charge_points
    assert (row.charge_point_id, row.online) == (charge_point.identity, True)

    body = models.ResetRequest(charge_point_id=row.charge_point_id, type_=models.ResetRequestType.HARD)
    sending = asyncio.create_task(dynamo_client.reset.asyncio_detailed(client=client, body=body))
    call = await charge_point.expect("Reset")
    await call.reply(status="Accepted")
    answer = await sending
    assert isinstance(answer.parsed, models.ResetAnswer)
    assert (answer.status_code, answer.parsed.status) == (200, "Accepted")

    command = await dynamo_client.read_command.asyncio(call.message_id, client=client)
    assert (command.id, command.state) == (Command.objects.get().pk, models.CommandResourceState.ACCEPTED)
    assert command.response == {"status": "Accepted"}


async def test_the_client_tells_errors_by_their_type(
    servers: Any, make_charge_point: Any, make_key: Callable[..., str], dynamo_client: SimpleNamespace
) -> None:
    models = dynamo_client.models
    body = models.ResetRequest(charge_point_id=make_charge_point().identity, type_=models.ResetRequestType.SOFT)
    for key, status, code in (
        (make_key(), 422, "charge_point_offline"),
        (make_key("read:charge_points"), 403, "forbidden"),
        ("dyn_live_unknown", 401, "unauthorized"),
    ):
        client = dynamo_client.Client(base_url=servers.http_url, token=key)
        answer = await dynamo_client.reset.asyncio_detailed(client=client, body=body)
        assert isinstance(answer.parsed, models.Error)
        assert (answer.status_code, answer.parsed.error.code) == (status, code)


def test_the_example_of_the_manual_runs(
    servers: Any, make_charge_point: Any, make_key: Callable[..., str], folder: Path
) -> None:
    make_charge_point("CP-SITE42-001")
    (program,) = re.findall(r"^```python\n(.*?)^```", MANUAL.read_text(), re.DOTALL | re.MULTILINE)
    program = program.replace("http://127.0.0.1:8000", servers.http_url).replace("dyn_live_...", make_key())
    environment = {**os.environ, "PYTHONPATH": str(folder / "dynamo-client")}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("charge_point_offline\n", "")


def test_the_collection_has_the_format_of_postman(collection: Any) -> None:
    assert [str(error) for error in jsonschema_rs.Draft202012Validator(COLLECTION).iter_errors(collection)] == []


def test_the_collection_has_every_operation_with_its_example(collection: Any) -> None:
    document = yaml.load(COMMITTED.read_text(), yaml.CSafeLoader)
    operations = {
        (described["tags"][0], method.upper(), path): described
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    }
    requests = {
        (folder["name"], item["request"]["method"], path_of(item["request"])): item["request"]
        for folder in collection["item"]
        for item in folder["item"]
    }
    assert requests.keys() == operations.keys()
    for named, described in operations.items():
        assert ("body" in requests[named]) == ("requestBody" in described)
    reset = requests["Commands", "POST", "/api/v1/ocpp16/reset"]
    assert json.loads(reset["body"]["raw"]) == {"charge_point_id": "CP-SITE42-001", "type": "Soft"}


def path_of(request: Any) -> str:
    return "/" + "/".join(f"{{{part[1:]}}}" if part.startswith(":") else part for part in request["url"]["path"])


async def test_the_server_knows_every_request_of_the_collection(api: Any, collection: Any) -> None:
    """As Postman sends them, once the variables are set: each finds its operation, and the body is well-formed."""
    for folder in collection["item"]:
        for item in folder["item"]:
            answer = await send(api, item["request"])
            assert answer.status_code < 500, item["name"]
            assert answer.status_code not in (405, 415), item["name"]
            assert MESSAGES[404] not in answer.text, item["name"]


def ticked(values: Any) -> dict[str, str]:
    return {each["key"]: each["value"] for each in values if not each.get("disabled")}


async def send(api: Any, request: Any) -> httpx2.Response:
    url = request["url"]
    unknown = {each["key"]: "00000000-0000-4000-8000-000000000000" for each in url["variable"]}
    unknown |= {"transaction_id": "1"} | ({"id": "1"} if "api-keys" in url["path"] else {})
    path = "/".join(unknown[part[1:]] if part.startswith(":") else part for part in url["path"])
    return await api.request(
        request["method"],
        f"/{path}",
        params=ticked(url["query"]),
        headers=ticked(request["header"]),
        content=request.get("body", {}).get("raw"),
    )
