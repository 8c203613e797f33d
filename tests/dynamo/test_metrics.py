"""GET /metrics: who may read it, and that a fault shows where docs/metrics.md says."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from tests.charge_point import CallErrorReceived, ChargePointClient
from tests.conftest import eventually
from tests.metrics import Read, read_at
from tests.ocpp16.knocking import status_of
from tests.servers import ServerProcess

from .test_health import Relay, relays  # noqa: F401  a fixture
from .test_settings import manage

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
TOKEN = "a-token-of-an-operator"
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-01-01T10:00:00Z"}
RESET = "/api/v1/ocpp16/reset"


@pytest.fixture
def read(servers: Any) -> Read:
    """Reads from the process that charge points are connected to."""
    return read_at(servers.charge_points.port)


@pytest.fixture
def read_http(servers: Any) -> Read:
    """Reads from the process that the API is asked on."""
    return read_at(servers.http.port)


async def test_counts_who_is_connected(read: Read, connect: Any) -> None:
    before = read("dynamo_charge_points_connected")
    client = await connect()
    assert read("dynamo_charge_points_connected") == before + 1
    assert read("dynamo_charge_points_online") == 1
    assert read("dynamo_database_up") == 1
    await client.close()
    await eventually(lambda: read("dynamo_charge_points_connected") == before)


async def test_counts_calls_by_action_and_outcome(read: Read, charge_point: Any) -> None:
    def calls(action: str, outcome: str) -> float:
        return read("dynamo_calls_total", action=action, outcome=outcome)

    names = [("Authorize", "CALLRESULT"), ("Authorize", "repeated"), ("other", "NotImplemented")]
    before = [calls(*name) for name in names]
    timed = read("dynamo_answer_seconds_count", action="Authorize")
    for _ in range(2):
        await charge_point.call("Authorize", {"idTag": "TAG"}, message_id="same")
    with pytest.raises(CallErrorReceived):
        await charge_point.call("InventedByAVendor")
    assert [calls(*name) for name in names] == [count + 1 for count in before]
    assert read("dynamo_answer_seconds_count", action="Authorize") == timed + 2


async def test_counts_commands_by_their_end(read: Read, read_http: Read, charge_point: Any, api: Any) -> None:
    rejected = read("dynamo_commands_total", action="Reset", outcome="rejected")
    limited = read_http("dynamo_commands_total", action="Reset", outcome="rate_limited")
    body = {"charge_point_id": charge_point.identity, "type": "Soft"}
    told: Counter[str] = Counter()
    rejecting = asyncio.create_task(reject_all(charge_point))
    while not told["rate_limited"]:  # a slow machine may need longer than the second of the limit
        answers = await asyncio.gather(*(api.post(RESET, json=body) for _ in range(12)))
        told.update(answer.json()["error"]["code"] for answer in answers)
    rejecting.cancel()
    assert told["ocpp_rejected"]
    assert read("dynamo_commands_total", action="Reset", outcome="rejected") == rejected + told["ocpp_rejected"]
    assert read_http("dynamo_commands_total", action="Reset", outcome="rate_limited") == limited + told["rate_limited"]
    assert read("dynamo_command_seconds_count", action="Reset") >= told["ocpp_rejected"]
    refused = read_http("dynamo_http_requests_total", route="api/v1/ocpp16/reset", status="429")
    assert refused >= told["rate_limited"]


async def reject_all(charge_point: ChargePointClient) -> None:
    while True:
        await (await charge_point.calls.get()).reply(status="Rejected")


async def test_shows_a_flood_of_malformed_frames(read: Read, charge_point: Any) -> None:
    frames = read("dynamo_malformed_frames_total")
    closed = read("dynamo_connections_closed_total", reason="too many malformed frames")
    for _ in range(20):
        await charge_point.send("nonsense")
    assert (await charge_point.closed())[0] == 1008
    assert read("dynamo_malformed_frames_total") == frames + 20
    assert read("dynamo_connections_closed_total", reason="too many malformed frames") == closed + 1


async def test_shows_wrong_passwords(read: Read, servers: Any, make_charge_point: Any) -> None:
    before = read("dynamo_handshakes_refused_total", reason="no credentials")
    identity = make_charge_point(password="key-of-16-bytes.").identity
    assert await status_of(servers.charge_points.port, f"/ocpp16/{identity}") == 401
    assert read("dynamo_handshakes_refused_total", reason="no credentials") == before + 1


async def test_shows_that_sessions_cannot_be_stored(read: Read, charge_point: Any) -> None:
    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    def silences() -> float:
        return read("dynamo_calls_total", action="StartTransaction", outcome="silence")

    before, failures = silences(), read("dynamo_database_failures_total", error=failure())
    rename("chargepoints_transaction", "chargepoints_elsewhere")
    try:
        await charge_point.send([2, "m-1", "StartTransaction", START])
        await eventually(lambda: silences() == before + 1)
    finally:
        rename("chargepoints_elsewhere", "chargepoints_transaction")
    assert read("dynamo_database_failures_total", error=failure()) > failures
    assert (await charge_point.call("StartTransaction", START))["transactionId"] > 0


def failure() -> str:
    """How the database says that a table is not there."""
    return "ProgrammingError" if connection.vendor == "postgresql" else "OperationalError"


async def test_shows_which_service_is_gone(
    transactional_db: None,
    relays: tuple[ServerProcess, Relay, Relay],  # noqa: F811
    make_charge_point: Any,
) -> None:
    server, database, layer = relays
    read = read_at(server.port)
    layer.cut()
    row = make_charge_point()
    assert await status_of(server.port, f"/ocpp16/{row.identity}") == 101
    await eventually(lambda: read("dynamo_channel_layer_failures_total", during="connection") > 0)
    database.cut()
    await eventually(lambda: read("dynamo_database_up") == 0)
    assert await status_of(server.port, f"/ocpp16/{row.identity}") == 503
    assert read("dynamo_handshakes_refused_total", reason="database unavailable") > 0


async def test_names_every_metric_in_the_document(servers: Any, read: Read) -> None:
    text = httpx2.get(f"http://127.0.0.1:{servers.charge_points.port}/metrics").text
    shown = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("dynamo_")}
    named = {name.removesuffix("_total") for name in re.findall(r"\bdynamo_\w+", DOCUMENT.read_text())}
    assert shown - named == set()
    missing = named - shown
    assert missing == set() or connection.vendor == "sqlite"
    assert [name for name in missing if not re.search("database_(pool|connections)", name)] == []


def get(**headers: str) -> Any:
    return Client().get(
        "/metrics", REMOTE_ADDR=headers.pop("peer", "127.0.0.1"), headers={"Host": "127.0.0.1", **headers}
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"peer": "192.0.2.1"},
        {"peer": "not an address"},
        {"Host": "csms.example.com"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"X-Real-IP": "192.0.2.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_is_for_this_machine_only(db: None, headers: dict[str, str]) -> None:
    assert get().status_code == 200
    assert get(Host="localhost:8000").status_code == 200
    assert get(**headers).status_code == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Proto"])
def test_is_not_for_who_asks_through_a_proxy_that_nobody_named(servers: Any, header: str) -> None:
    url = f"http://127.0.0.1:{servers.http.port}/metrics"
    assert httpx2.get(url, headers={header: "192.0.2.1"}).status_code == 403
    assert httpx2.get(url).status_code == 200


def test_lies_under_no_other_path(servers: Any) -> None:
    url = f"http://127.0.0.1:{servers.http.port}/elsewhere/metrics"
    assert httpx2.get(url, headers={"Daphne-Root-Path": "/elsewhere"}).status_code == 404


def test_is_for_nobody_behind_a_proxy_without_the_token(db: None, settings: Any) -> None:
    settings.DYNAMO_PROXY_ADDRESSES = ["127.0.0.1/32"]
    assert get().status_code == 403


def test_is_for_who_has_the_token_and_nobody_else(db: None, settings: Any) -> None:
    settings.DYNAMO_METRICS_TOKEN = TOKEN
    settings.DYNAMO_PROXY_ADDRESSES = ["127.0.0.1/32"]
    assert get(Authorization=f"Bearer {TOKEN}", peer="192.0.2.1", Host="csms.example.com").status_code == 200
    for wrong in ({}, {"Authorization": f"Bearer {TOKEN}x"}, {"Authorization": "Bearer é"}, {"X-API-Key": TOKEN}):
        refused = get(**wrong)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert b"dynamo_" not in refused.content


@pytest.mark.parametrize("token", ["short", "with-a-\u00e9-in-its-middle"])
def test_refuses_a_token_that_cannot_be_one(tmp_path: Path, token: str) -> None:
    refused = manage("check", data=tmp_path, DYNAMO_METRICS_TOKEN=token)
    assert refused.returncode == 1
    assert refused.stderr == "DYNAMO_METRICS_TOKEN must have at least 16 characters, all of them ASCII.\n"
