"""Logs of a charge point, which are read by cursor while they grow."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from chargepoints.models import ChargePoint, ConnectorStatus, SecurityEvent
from ocpp16.models import Message
from tests.api import RESOURCES, Api, error_of, make_api, make_charge_point

AT = datetime(2024, 3, 10, 15, 0, tzinfo=UTC)
ROOT = "/charge-points/CP-1"
LOGS = ["messages", "status-history", "security-events"]
every_log = pytest.mark.parametrize("log", LOGS)


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


@pytest.fixture
def row(api: Api) -> ChargePoint:
    return make_charge_point(api.organization, "CP-1")


def add(row: ChargePoint, log: str, minute: int, **fields: Any) -> None:
    """An entry of the log that is known again by its minute."""
    at = AT + timedelta(minutes=minute)
    if log == "messages":
        frame = {"direction": "in", "kind": 2, "action": "Heartbeat", "message_id": f"{minute}", "frame": f"{minute}"}
        Message.objects.create(charge_point=row, at=at, **{**frame, **fields})
    elif log == "status-history":
        status = {"connector_id": 1, "status": "Available", "error_code": "NoError", "info": f"{minute}"}
        ConnectorStatus.objects.create(charge_point=row, timestamp=at, received_at=at, **{**status, **fields})
    else:
        event = {"type": "Tampering", "technical_information": f"{minute}"}
        SecurityEvent.objects.create(charge_point=row, timestamp=at, received_at=at, **{**event, **fields})


def page(api: Api, log: str, **query: Any) -> tuple[list[int], str | None]:
    """The minutes of a page, and the cursor that it gives."""
    response = api.get(f"{ROOT}/{log}", query)
    assert response.status_code == 200, response.content
    body = response.json()
    assert list(body) == [log.replace("-", "_"), "per_page", "next_cursor"]
    mark = {"messages": "frame", "status-history": "info", "security-events": "technical_information"}[log]
    return [int(entry[mark]) for entry in body[log.replace("-", "_")]], body["next_cursor"]


@every_log
def test_is_empty_at_first(api: Api, row: ChargePoint, log: str) -> None:
    assert page(api, log) == ([], None)


@every_log
@pytest.mark.parametrize("per_page", range(1, 8))
def test_gives_each_entry_once_the_newest_first(api: Api, row: ChargePoint, log: str, per_page: int) -> None:
    for minute in range(6):
        add(row, log, minute)
    read, cursor = page(api, log, per_page=per_page)
    while cursor is not None:
        entries, cursor = page(api, log, per_page=per_page, cursor=cursor)
        assert len(entries) <= per_page
        read += entries
    assert read == [5, 4, 3, 2, 1, 0]


@every_log
def test_goes_on_where_it_was_whatever_is_added(api: Api, row: ChargePoint, log: str) -> None:
    for minute in range(4):
        add(row, log, minute)
    first, cursor = page(api, log, per_page=2)
    add(row, log, 9)
    assert (first, page(api, log, per_page=2, cursor=cursor)[0]) == ([3, 2], [1, 0])


@every_log
def test_shows_the_log_of_no_other_charge_point(api: Api, row: ChargePoint, log: str) -> None:
    add(make_charge_point(api.organization, "CP-2"), log, 1)
    add(row, log, 2)
    assert page(api, log) == ([2], None)


@every_log
def test_filters_by_time(api: Api, row: ChargePoint, log: str) -> None:
    for minute in range(4):
        add(row, log, minute)
    assert page(api, log, since="2024-03-10T15:01:00Z", before="2024-03-10T15:03:00Z")[0] == [2, 1]


@pytest.mark.parametrize(
    ("log", "query", "expected"),
    [
        ("messages", {"direction": "out"}, [2]),
        ("messages", {"action": "Reset"}, [2]),
        ("messages", {"message_id": "1"}, [1]),
        ("messages", {"direction": "out", "action": "Heartbeat"}, []),
        ("status-history", {"connector_id": "0"}, [2]),
        ("status-history", {"status": "Faulted"}, [2]),
        ("status-history", {"status": "Faulted", "connector_id": "1"}, []),
        ("security-events", {"type": "ForeignTransaction"}, [2]),
    ],
)
def test_filters(api: Api, row: ChargePoint, log: str, query: dict[str, str], expected: list[int]) -> None:
    others: dict[str, dict[str, Any]] = {
        "messages": {"direction": "out", "action": "Reset"},
        "status-history": {"connector_id": 0, "status": "Faulted"},
        "security-events": {"type": "ForeignTransaction"},
    }
    add(row, log, 1)
    add(row, log, 2, **others[log])
    assert page(api, log, **query)[0] == expected


def written(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@every_log
@pytest.mark.parametrize(
    "cursor",
    ["", "abc", "\x00", "é", "=", "MQ==", *map(written, ["0", "-1", "1.5", "a", "1 or 1=1", "\x00", "01", "9" * 19])],
)
def test_refuses_a_cursor_that_it_has_not_given(api: Api, row: ChargePoint, log: str, cursor: str) -> None:
    error = error_of(api.get(f"{ROOT}/{log}", {"cursor": cursor}), 400, "validation_error")
    assert list(error["details"]) == ["cursor"]


@pytest.mark.parametrize(
    ("log", "name", "value"),
    [
        *[(log, "page", "1") for log in LOGS],
        *[(log, "per_page", "201") for log in LOGS],
        *[(log, "since", "yesterday") for log in LOGS],
        ("messages", "direction", "up"),
        ("messages", "action", "Nonsense"),
        ("messages", "message_id", "\x00"),
        ("messages", "frame", "x"),
        ("status-history", "connector_id", "-1"),
        ("security-events", "type", ""),
    ],
)
def test_refuses_a_bad_query(api: Api, row: ChargePoint, log: str, name: str, value: str) -> None:
    assert list(error_of(api.get(f"{ROOT}/{log}", {name: value}), 400, "validation_error")["details"]) == [name]


def test_tells_all_of_a_message(api: Api, row: ChargePoint) -> None:
    add(
        row,
        "messages",
        5,
        kind=0,
        action="",
        message_id="",
        frame="\ud800 no frame".encode("utf-8", "replace").decode(),
    )
    assert api.get(f"{ROOT}/messages").json()["messages"] == [
        {
            "at": "2024-03-10T15:05:00Z",
            "direction": "in",
            "kind": 0,
            "message_id": None,
            "action": None,
            "frame": "? no frame",
        }
    ]


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        (["read:charge_points"], "read:sessions"),
        (["read:sessions"], "read:charge_points"),
        (["write:charge_points"], "read:charge_points"),
    ],
)
def test_needs_two_scopes_for_messages(row: ChargePoint, scopes: list[str], missing: str) -> None:
    response = make_api(scopes=scopes, root=RESOURCES).get(f"{ROOT}/messages")
    assert error_of(response, 403, "forbidden")["details"] == {"required_scope": missing}


def test_shows_messages_to_their_organization_only(api: Api, row: ChargePoint) -> None:
    add(row, "messages", 1)
    stranger = make_api("Other", root=RESOURCES)
    refusal = stranger.get(f"{ROOT}/messages")
    error_of(refusal, 404, "not_found")
    assert refusal.content == stranger.get("/charge-points/NOWHERE/messages").content


@every_log
def test_needs_as_few_queries_for_many_as_for_one(api: Api, row: ChargePoint, log: str) -> None:
    for minute in range(20):
        add(row, log, minute)
    page(api, log)
    with CaptureQueriesContext(connection) as queries:
        assert len(page(api, log)[0]) == 20
    assert len(queries) <= 3, "one for the key, one for the charge point, and one for the page"
