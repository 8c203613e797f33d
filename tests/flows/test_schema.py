"""The OpenAPI document, and the page that shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from playwright.async_api import async_playwright

from chargepoints.events import EVENTS, members
from ocpp16.commands import COMMANDS
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
def document(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = tmp_path_factory.mktemp("schema") / "schema.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(file))
    return json.loads(file.read_text())


def operation(document: Any, name: str) -> Any:
    return document["paths"][f"/api/v1/ocpp16/{name}"]["post"]


def content(of: Any) -> Any:
    return of["content"]["application/json"]


def resolve(document: Any, schema: Any) -> Any:
    return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]


def operations_of(document: Any, start: str = "") -> list[Any]:
    return [item for path, methods in document["paths"].items() if path.startswith(start) for item in methods.values()]


def test_describes_the_twelve_operations_of_the_reference_and_no_more(document: Any) -> None:
    names = [item["operationId"] for item in operations_of(document, "/api/v1/ocpp16/")]
    assert sorted(names) == sorted([*COMMANDS, "active_transactions", "charge_points_status"])


def test_describes_every_operation_with_its_errors_and_examples(document: Any) -> None:
    operations = operations_of(document)
    assert len({item["operationId"] for item in operations}) == len(operations)
    for item in operations:
        assert item["security"] == [{"bearer": []}, {"apiKey": []}]
        assert item["summary"]
        assert {"401", "403", "500", "503"} <= set(item["responses"]), item["operationId"]
        bodies = [item["requestBody"]] if "requestBody" in item else []
        bodies += [
            described for described in item["responses"].values() if "application/json" in described.get("content", {})
        ]
        assert all(content(body)["examples"] for body in bodies), item["operationId"]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_describes_what_resources_refuse(document: Any) -> None:
    for path, methods in document["paths"].items():
        for item in methods.values():
            if not path.startswith("/api/v1/ocpp16/"):
                assert "400" in item["responses"], path
                names_one = "{" in path or item["operationId"] == "events"
                assert ("404" in item["responses"]) == names_one, path
                assert ("415" in item["responses"]) == ("requestBody" in item), path


@pytest.mark.parametrize("name", COMMANDS)
def test_describes_every_error_of_a_command_by_the_envelope(document: Any, name: str) -> None:
    responses = operation(document, name)["responses"]
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
            names = [parameter["name"] for parameter in described.get("parameters", [])]
            assert names.count("Idempotency-Key") == (method == "post"), path
            if method == "post":
                assert "idempotency_in_progress" in content(described["responses"]["409"])["examples"]
                assert "idempotency_key_reused" in content(described["responses"]["422"])["examples"]
                tell = {status for status, one in described["responses"].items() if "headers" in one}
                replayed = {
                    status for status in tell if "Idempotent-Replayed" in described["responses"][status]["headers"]
                }
                is_command = path.startswith("/api/v1/ocpp16/")
                succeeded = {status for status in described["responses"] if status.startswith("2")}
                assert replayed == succeeded | ({"408", "422"} if is_command else {"422"})
                if is_command:
                    assert "X-Command-Id" in described["responses"]["200"]["headers"]


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
    webhooks = document["x-webhooks"]
    assert set(webhooks) == set(EVENTS)
    for kind, methods in webhooks.items():
        event = resolve(document, content(methods["post"]["requestBody"])["schema"])
        assert event["properties"]["event"]["enum"] == [kind]
        assert {each["name"] for each in methods["post"]["parameters"]} >= {"webhook-signature", "X-Dynamo-Signature"}


def test_describes_the_errors_of_webhooks_as_theirs(document: Any) -> None:
    responses = document["paths"]["/api/v1/webhooks/endpoints"]["post"]["responses"]
    assert set(responses) == {"201", "400", "401", "403", "409", "413", "415", "422", "429", "500", "503"}
    (forbidden,) = content(responses["403"])["examples"].values()
    assert forbidden["value"]["error"]["details"] == {"required_scope": "write:webhooks"}
    responses = document["paths"]["/api/v1/webhooks/endpoints/{endpoint_id}"]["get"]["responses"]
    assert "endpoint" in responses["404"]["description"]


async def test_is_served_to_everybody(servers: Any, api: Any) -> None:
    del api.headers["Authorization"]
    response = await api.get("/api/schema", headers={"Accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["openapi"].startswith("3.")


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
