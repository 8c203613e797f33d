"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from django.core.management import call_command
from playwright.async_api import async_playwright

from apikeys.scopes import SCOPES
from chargepoints.api.charge_points import OneView
from chargepoints.api.views import ResourceView
from chargepoints.events import EVENTS, members
from dynamo.management.commands.openapi import COMMITTED
from ocpp16.commands import COMMANDS
from ocpp16.orders import ORDERS
from tests.ocpp16.reference import EXAMPLES, EXPIRY, RESPONSE_TIME, SENT_AT

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
COMMAND_ERRORS = {"400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "500", "503"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("schema") / "openapi.yaml"
    call_command("openapi", "--file", str(file))
    return file.read_text()


@pytest.fixture(scope="module")
def document(text: str) -> Any:
    return yaml.load(text, yaml.CSafeLoader)


def operation(document: Any, name: str) -> Any:
    return document["paths"][f"/api/v1/ocpp16/{name}"]["post"]


def content(of: Any) -> Any:
    return of["content"]["application/json"]


def resolve(document: Any, of: Any) -> Any:
    """What a reference refers to; anything else is itself."""
    if "$ref" not in of:
        return of
    _, _, kind, name = of["$ref"].split("/")
    return document["components"][kind][name]


def responses_of(document: Any, described: Any) -> dict[str, Any]:
    return {status: resolve(document, response) for status, response in described["responses"].items()}


def operations_of(document: Any, start: str = "") -> list[Any]:
    return [item for path, methods in document["paths"].items() if path.startswith(start) for item in methods.values()]


def test_is_committed(text: str) -> None:
    lines = zip_longest(COMMITTED.read_text().splitlines(), text.splitlines())
    differing = next((number for number, (old, new) in enumerate(lines, 1) if old != new), None)
    assert differing is None, (
        f"docs/openapi.yaml is not what the code describes, from line {differing} on. "
        "`python3 manage.py openapi` writes it anew."
    )


def test_describes_the_twelve_operations_of_the_reference_and_no_more(document: Any) -> None:
    names = [item["operationId"] for item in operations_of(document, "/api/v1/ocpp16/")]
    assert sorted(names) == sorted([*COMMANDS, "active_transactions", "charge_points_status"])


def test_describes_every_operation_with_its_errors_and_examples(document: Any) -> None:
    operations = operations_of(document)
    assert len({item["operationId"] for item in operations}) == len(operations)
    for item in operations:
        assert item["summary"]
        assert {"401", "429", "500", "503"} <= set(item["responses"]), item["operationId"]
        bodies = [item["requestBody"]] if "requestBody" in item else []
        answers = responses_of(document, item).values()
        bodies += [described for described in answers if "application/json" in described.get("content", {})]
        assert all(content(body)["examples"] for body in bodies), item["operationId"]
        assert all("X-Request-Id" in described["headers"] for described in answers), item["operationId"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_tells_the_scope_of_every_operation(document: Any) -> None:
    for item in operations_of(document):
        (bearer, header), responses = item["security"], responses_of(document, item)
        scopes = bearer["bearer"]
        assert header == {"apiKey": scopes}
        assert set(scopes) <= set(SCOPES)
        assert all(f"`{scope}`" in item["description"] for scope in scopes)
        if item["operationId"] == "me":
            assert scopes == []
            assert "403" not in responses
            continue
        told = [example["value"]["error"]["details"] for example in content(responses["403"])["examples"].values()]
        assert [details["required_scope"] for details in told if "required_scope" in details] == scopes
    described = {item["operationId"]: item["security"][0]["bearer"] for item in operations_of(document)}
    assert described["reset"] == described["active_transactions"] == ["write:charge_points"]
    assert described["charge_points_status"] == ["read:charge_points"]
    assert described["list_messages"] == ["read:charge_points", "read:sessions"]
    assert described["create_api_key"] == ["write:api_keys"]


def test_shows_only_examples_that_conform_to_their_schemas(document: Any) -> None:
    for item in operations_of(document):
        bodies = [item["requestBody"]] if "requestBody" in item else []
        for described in [*bodies, *responses_of(document, item).values()]:
            for kind in described.get("content", {}).values():
                schema = {**kind["schema"], "components": document["components"]}
                validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
                for example in kind.get("examples", {}).values():
                    assert [str(error) for error in validator.iter_errors(example["value"])] == [], item["operationId"]


@pytest.mark.parametrize("name", ORDERS)
def test_describes_orders_as_commands_of_simulated_charge_points(document: Any, name: str) -> None:
    described = document["paths"][f"/api/v1/simulator/{name}"]["post"]
    responses = responses_of(document, described)
    assert set(responses) == {"200", "202", *COMMAND_ERRORS}
    assert set(content(responses["409"])["examples"]) == {"not_simulated", "idempotency_in_progress"}
    assert described["tags"] == ["Simulator"]


def test_describes_why_a_charge_point_is_not_deleted(document: Any) -> None:
    described = document["paths"]["/api/v1/simulator/charge-points/{charge_point_id}"]["delete"]
    refused = responses_of(document, described)["409"]
    assert list(content(refused)["examples"]) == ["not_simulated"]


def test_describes_that_unknown_members_and_empty_parameters_are_refused(document: Any) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["ResetRequest"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["ResetAnswer"]  # which may gain some
    parameters = document["paths"]["/api/v1/id-tags"]["get"]["parameters"]
    (described,) = [each["schema"] for each in parameters if each["name"] == "starts_with"]
    assert described["minLength"] == 1


@pytest.mark.parametrize("view", [ResourceView, OneView])
def test_describes_no_operation_by_what_is_ours(document: Any, view: type) -> None:
    assert view.__doc__
    assert not [each["operationId"] for each in operations_of(document) if view.__doc__ in each.get("description", "")]


def test_describes_what_lists_are_filtered_by(document: Any) -> None:
    asked = document["paths"]["/api/v1/sessions"]["get"]["parameters"]
    described = {each["name"]: each.get("description") for each in asked}
    assert described["active"] == "Going on, or ended."
    assert described["connector_id"] == "Of this connector only, together with `charge_point_id`."
    assert (described["started_since"], described["started_before"]) == ("At that time or later.", "Before that time.")
    assert None not in described.values()


def test_describes_null_and_anything_as_json_schema_does(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert "nullable" not in json.dumps(document)
    members_of = document["components"]["schemas"]["CommandResource"]["properties"]
    assert members_of["transaction_id"]["type"] == ["integer", "null"]
    assert set(members_of["response"]) == {"description", "readOnly"}


def test_describes_what_resources_refuse(document: Any) -> None:
    for path, methods in document["paths"].items():
        for item in methods.values():
            if not path.startswith("/api/v1/ocpp16/"):
                assert "400" in item["responses"], path
                names_one = "{" in path or item["operationId"] == "events" or item["operationId"] in ORDERS
                assert ("404" in item["responses"]) == names_one, path
                assert ("415" in item["responses"]) == ("requestBody" in item), path


@pytest.mark.parametrize("name", COMMANDS)
def test_describes_every_error_of_a_command_by_the_envelope(document: Any, name: str) -> None:
    responses = responses_of(document, operation(document, name))
    assert set(responses) == {"200", "202", *COMMAND_ERRORS}
    for status in COMMAND_ERRORS:
        described = content(responses[status])
        assert described["schema"] == {"$ref": "#/components/schemas/Error"}
        for example in described["examples"].values():
            assert list(example["value"]["error"]) == ["code", "message", "details"]


@pytest.mark.parametrize("name", COMMANDS)
def test_shows_the_examples_of_the_reference(document: Any, name: str) -> None:
    described, example = operation(document, name), EXAMPLES[name]
    (request,) = content(described["requestBody"])["examples"].values()
    (answer,) = content(described["responses"]["200"])["examples"].values()
    assert without_times(request["value"]) == without_times(example.body)
    assert list(answer["value"]) == [member for member, _ in example.answer]
    for member, value in example.answer:
        if value not in (SENT_AT, RESPONSE_TIME, EXPIRY):
            assert answer["value"][member] == value


def test_shows_the_reads_of_the_reference(document: Any) -> None:
    (answer,) = shown(document, "active_transactions/{charge_point_id}")
    assert answer["active_transactions"][0] == {
        "transaction_id": 10042,
        "connector_id": 2,
        "id_tag": "RFID-USER-9B3E",
        "start_time": "2024-03-10T14:45:00Z",
        "meter_start": 10500,
        "current_meter_value": 11250,
        "energy_delivered_wh": 750,
        "duration_seconds": 900,
    }
    (answer,) = shown(document, "charge_points/status")
    assert (answer["total"], answer["page"], answer["per_page"]) == (1, 1, 50)
    assert answer["charge_points"][0]["connectors"][1] == {
        "connector_id": 2,
        "status": "Faulted",
        "error_code": "GroundFailure",
        "info": "Ground fault detected on connector 2",
        "timestamp": "2024-03-10T15:57:00Z",
    }


def shown(document: Any, read: str) -> list[Any]:
    answer = document["paths"][f"/api/v1/ocpp16/{read}"]["get"]["responses"]["200"]
    return [example["value"] for example in content(answer)["examples"].values()]


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "expiry_date"}


@pytest.mark.parametrize("name", COMMANDS)
def test_requires_what_the_reference_requires(document: Any, name: str) -> None:
    schema = resolve(document, content(operation(document, name)["requestBody"])["schema"])
    assert set(schema["required"]) == {"charge_point_id", *EXAMPLES[name].required}
    answer = resolve(document, content(operation(document, name)["responses"]["200"])["schema"])
    assert list(answer["properties"]) == [member for member, _ in EXAMPLES[name].answer]


def test_describes_the_query_of_the_status_list(document: Any) -> None:
    parameters = document["paths"]["/api/v1/ocpp16/charge_points/status"]["get"]["parameters"]
    described = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert described["page"] == {"type": "integer", "minimum": 1, "default": 1}
    assert described["per_page"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    assert "SuspendedEVSE" in described["status"]["enum"]


def test_describes_the_idempotency_key_of_every_post_and_of_nothing_else(document: Any) -> None:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            names = [resolve(document, parameter)["name"] for parameter in described.get("parameters", [])]
            responses = responses_of(document, described)
            assert names.count("Idempotency-Key") == (method == "post"), path
            if method == "post":
                assert "idempotency_in_progress" in content(responses["409"])["examples"]
                assert "idempotency_key_reused" in content(responses["422"])["examples"]
                replayed = {status for status, one in responses.items() if "Idempotent-Replayed" in one["headers"]}
                is_command = described["operationId"] in (*COMMANDS, *ORDERS)
                succeeded = {status for status in responses if status.startswith("2")}
                assert replayed == succeeded | ({"408", "422"} if is_command else {"422"})
                if is_command:
                    assert "X-Command-Id" in responses["200"]["headers"]


def test_describes_every_event_by_its_type(document: Any) -> None:
    schemas = document["components"]["schemas"]
    kinds = schemas["Event"]["discriminator"]["mapping"]
    assert set(kinds) == set(EVENTS)
    for kind, reference in kinds.items():
        event = resolve(document, {"$ref": reference})
        assert event["properties"]["event"]["enum"] == [kind]
        assert event["description"] == EVENTS[kind].when
        data = resolve(document, event["properties"]["data"])
        assert list(data["properties"]) == list(members(kind))
    responses = document["paths"]["/api/v1/events"]["get"]["responses"]
    assert set(responses) == {"200", "304", "400", "401", "403", "404", "429", "500", "503"}


def test_describes_what_is_sent_to_webhooks(document: Any) -> None:
    webhooks = document["webhooks"]
    assert set(webhooks) == set(EVENTS)
    for kind, methods in webhooks.items():
        event = resolve(document, content(methods["post"]["requestBody"])["schema"])
        assert event["properties"]["event"]["enum"] == [kind]
        assert {each["name"] for each in methods["post"]["parameters"]} >= {"webhook-signature", "X-Dynamo-Signature"}


def test_describes_the_errors_of_webhooks_as_theirs(document: Any) -> None:
    responses = responses_of(document, document["paths"]["/api/v1/webhooks/endpoints"]["post"])
    assert set(responses) == {"201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"}
    (forbidden,) = content(responses["403"])["examples"].values()
    assert forbidden["value"]["error"]["details"] == {"required_scope": "write:webhooks"}
    responses = responses_of(document, document["paths"]["/api/v1/webhooks/endpoints/{endpoint_id}"]["get"])
    assert "endpoint" in responses["404"]["description"]


@pytest.mark.parametrize("path", ["webhooks/endpoints/{endpoint_id}/pause", "org/api-keys/{id}/revoke"])
def test_describes_that_a_body_may_be_too_large_where_none_is_asked_for(document: Any, path: str) -> None:
    described = document["paths"][f"/api/v1/{path}"]["post"]
    assert "requestBody" not in described
    assert set(responses_of(document, described)) >= {"413"}
    assert "415" not in described["responses"]


async def test_is_served_to_everybody(servers: Any, api: Any, document: Any) -> None:
    del api.headers["Authorization"]
    response = await api.get("/api/schema", headers={"Accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == document


async def test_shows_in_a_browser_without_network_or_complaint(
    servers: Any, charge_point: Any, make_key: Any, tmp_path: Path
) -> None:
    complaints: list[str] = []
    requests: list[str] = []
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            str(tmp_path), executable_path=CHROMIUM, args=FLAGS, headless=True
        )
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(f"{servers.http_url}/api/docs")
        await page.locator("#operations-Commands-reset").get_by_role("button").first.click()
        await page.get_by_role("button", name="Try it out").click()
        assert [url for url in requests if not url.startswith((servers.http_url, "data:"))] == []
        assert complaints == []
        await execute(page, charge_point, make_key())
        await context.close()


async def execute(page: Any, charge_point: Any, key: str) -> None:
    """Send the reset from the page: its requests pass the content security policy too."""
    await page.get_by_role("button", name="Authorize").first.click()
    await page.get_by_label("Value:").first.fill(key)
    await page.get_by_role("button", name="Apply credentials").first.click()
    await page.get_by_role("button", name="Close").first.click()
    body = json.dumps({"charge_point_id": charge_point.identity, "type": "Hard"})
    await page.locator("#operations-Commands-reset textarea").first.fill(body)
    await page.get_by_role("button", name="Execute").click()
    call = await charge_point.expect("Reset")
    assert call.payload == {"type": "Hard"}
    await call.reply(status="Accepted")
    await page.locator(".live-responses-table .response-col_status", has_text="200").wait_for()
