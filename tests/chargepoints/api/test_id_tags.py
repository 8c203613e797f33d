"""Id tags: listed, changed and taken off, one by one and many at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.models import Organization
from chargepoints.api.id_tags import AT_ONCE
from chargepoints.models import IdTag
from tests.api import RESOURCES, Api, error_of, make_api

EXPIRY = datetime(2030, 1, 1, tzinfo=UTC)
VALUES = {
    "status": "Blocked",
    "parent_id_tag": "FLEET-7",
    "expires_at": "2030-01-01T00:00:00Z",
    "allow_concurrent": True,
    "description": "Van 12",
}


@pytest.fixture
def api(db: None) -> Api:
    return make_api(root=RESOURCES)


def tag(api: Api, id_tag: str = "RFID-1", **fields: Any) -> IdTag:
    return IdTag.objects.create(organization=api.organization, id_tag=id_tag, **fields)


def stored() -> dict[str, tuple[Any, ...]]:
    names = ("status", "parent_id_tag", "expires_at", "allow_concurrent", "description")
    return {row.id_tag: tuple(getattr(row, name) for name in names) for row in IdTag.objects.all()}


def listed(api: Api, **query: Any) -> list[str]:
    response = api.get("/id-tags", query)
    assert response.status_code == 200, response.content
    return [row["id_tag"] for row in response.json()["id_tags"]]


def change(api: Api, **body: Any) -> list[tuple[str, str]]:
    response = api.post("id-tags/bulk", body)
    assert response.status_code == 200, response.content
    results = response.json()["results"]
    assert response.json()["total"] == len(results)
    return [(row["id_tag"], row["result"]) for row in results]


def test_lists_an_id_tag(api: Api) -> None:
    response = api.post("id-tags", {"id_tag": "RFID-1", **VALUES})
    assert response.status_code == 201
    body = dict(response.json())
    assert body.pop("created_at").endswith("Z")
    assert body == {"id_tag": "RFID-1", **VALUES, "authorization_status": "Blocked"}
    assert stored() == {"RFID-1": ("Blocked", "FLEET-7", EXPIRY, True, "Van 12")}
    assert api.get("/id-tags/rfid-1").json() == response.json()


def test_lists_one_of_which_nothing_else_is_said(api: Api) -> None:
    body = api.post("id-tags", {"id_tag": "RFID-1"}).json()
    assert (body["status"], body["authorization_status"]) == ("Accepted", "Accepted")
    assert (body["parent_id_tag"], body["expires_at"], body["description"]) == (None, None, None)


def test_tells_one_that_has_expired(api: Api) -> None:
    tag(api, expires_at=timezone.now() - timedelta(minutes=1))
    body = api.get("/id-tags/RFID-1").json()
    assert (body["status"], body["authorization_status"]) == ("Accepted", "Expired")


@pytest.mark.parametrize("id_tag", ["RFID-1", "rfid-1", "Rfid-1"])
def test_lists_each_once(api: Api, id_tag: str) -> None:
    tag(api, "RFID-1")
    assert list(error_of(api.post("id-tags", {"id_tag": id_tag}), 409, "conflict")["details"]) == ["id_tag"]
    assert make_api("Other", root=RESOURCES).post("id-tags", {"id_tag": id_tag}).status_code == 201
    assert IdTag.objects.count() == 2


REFUSED: list[tuple[str, Any]] = [
    *[("id_tag", value) for value in ("", "x" * 21, 7, None, ["a"])],
    *[("status", value) for value in ("accepted", "Expired", "", None)],
    *[("parent_id_tag", value) for value in ("x" * 21, 7)],
    *[("expires_at", value) for value in ("2030-01-01", "2030-01-01T00:00:00", "never", 0, "")],
    *[("allow_concurrent", value) for value in ("true", 1, None)],
    *[("description", value) for value in ("x" * 201, {})],
    *[(name, "x") for name in ("organization", "authorization_status", "created_at", "id")],
]


@pytest.mark.parametrize(("field", "value"), REFUSED)
def test_refuses_what_it_cannot_store(api: Api, field: str, value: Any) -> None:
    error = error_of(api.post("id-tags", {"id_tag": "RFID-1", field: value}), 400, "validation_error")
    assert list(error["details"]) == [field]
    body = {"upsert": [{"id_tag": "RFID-0"}, {"id_tag": "RFID-1", field: value}], "delete": ["RFID-2"]}
    error = error_of(api.post("id-tags/bulk", body), 400, "validation_error")
    assert list(error["details"]) == [f"upsert[1].{field}"]
    assert stored() == {}


def test_changes_what_is_said_and_nothing_else(api: Api) -> None:
    tag(api, status="Blocked", parent_id_tag="FLEET-7", expires_at=EXPIRY, description="Van 12")
    body = api.patch("/id-tags/rfid-1", {"status": "Accepted", "description": None}).json()
    assert (body["id_tag"], body["status"], body["description"]) == ("RFID-1", "Accepted", None)
    assert stored() == {"RFID-1": ("Accepted", "FLEET-7", EXPIRY, False, "")}
    api.patch("/id-tags/RFID-1", {"expires_at": None, "parent_id_tag": "", "allow_concurrent": True})
    assert stored() == {"RFID-1": ("Accepted", "", None, True, "")}
    assert api.patch("/id-tags/RFID-1", {}).status_code == 200


def test_changes_no_number(api: Api) -> None:
    tag(api)
    error = error_of(api.patch("/id-tags/RFID-1", {"id_tag": "RFID-2"}), 400, "validation_error")
    assert error["details"] == {"id_tag": ["Unknown field."]}


def test_takes_one_off(api: Api) -> None:
    tag(api)
    response = api.delete("/id-tags/rfid-1")
    assert (response.status_code, response.content) == (204, b"")
    assert stored() == {}
    error_of(api.delete("/id-tags/rfid-1"), 404, "not_found")


@pytest.mark.parametrize(
    ("id_tag", "path"),
    [
        ("a/b", "a/b"),
        ("a/b", "a%2Fb"),
        ("100%", "100%25"),
        ("bulk", "BULK"),
        ("é ü", "%C3%A9%20%C3%BC"),
        ("?#&=", "%3F%23&="),
        ("../x", "..%2Fx"),
        ("a//b/", "a//b/"),
    ],
)
def test_finds_every_tag_that_may_be_listed(api: Api, id_tag: str, path: str) -> None:
    assert api.post("id-tags", {"id_tag": id_tag}).status_code == 201
    assert api.get(f"/id-tags/{path}").json()["id_tag"] == id_tag
    assert api.patch(f"/id-tags/{path}", {"status": "Blocked"}).status_code == 200
    assert api.delete(f"/id-tags/{path}").status_code == 204


@pytest.mark.parametrize("path", ["NONE", "%00", "RFID-1%00", "x" * 5000, "%FF", "%25", "_FID-1"])
def test_finds_no_other(api: Api, path: str) -> None:
    tag(api)
    for response in (api.get(f"/id-tags/{path}"), api.patch(f"/id-tags/{path}", {}), api.delete(f"/id-tags/{path}")):
        error_of(response, 404, "not_found")


def test_lists_them_by_name_in_pages(api: Api) -> None:
    for id_tag in ("b", "D", "A", "c"):
        tag(api, id_tag)
    assert listed(api) == ["A", "b", "c", "D"]
    assert listed(api, per_page=3, page=2) == ["D"]
    assert api.get("/id-tags", {"per_page": 3}).json()["total"] == 4
    with CaptureQueriesContext(connection) as queries:
        listed(api)
    assert len(queries) <= 3, "one for the key and two for the page"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "Blocked"}, ["B-2"]),
        ({"parent_id_tag": "FLEET"}, ["B-1", "B-2"]),
        ({"parent_id_tag": "fleet"}, []),
        ({"starts_with": "b-"}, ["B-1", "B-2"]),
        ({"starts_with": "%"}, []),
        ({"status": "Accepted", "parent_id_tag": "FLEET"}, ["B-1"]),
    ],
)
def test_filters(api: Api, query: dict[str, str], expected: list[str]) -> None:
    tag(api, "A-1")
    tag(api, "B-1", parent_id_tag="FLEET")
    tag(api, "B-2", parent_id_tag="FLEET", status="Blocked")
    assert listed(api, **query) == expected


@pytest.mark.parametrize(
    "query", ["status=Expired", "status=", "parent_id_tag=%00", "starts_with=", "page=0", "id_tag=A"]
)
def test_refuses_a_bad_query(api: Api, query: str) -> None:
    error = error_of(api.get(f"/id-tags?{query}"), 400, "validation_error")
    assert list(error["details"]) == [query.split("=")[0]]


def test_changes_many_at_once(api: Api) -> None:
    tag(api, "Known", parent_id_tag="FLEET-7", description="stays")
    tag(api, "Old")
    tag(api, "Untouched")
    body = {
        "upsert": [{"id_tag": "NEW", **VALUES}, {"id_tag": "KNOWN", "status": "Blocked"}, {"id_tag": "Plain"}],
        "delete": ["OLD", "never there"],
    }
    assert change(api, **body) == [
        ("NEW", "created"),
        ("KNOWN", "updated"),
        ("Plain", "created"),
        ("OLD", "deleted"),
        ("never there", "not_found"),
    ]
    assert stored() == {
        "NEW": ("Blocked", "FLEET-7", EXPIRY, True, "Van 12"),
        "Known": ("Blocked", "FLEET-7", None, False, "stays"),
        "Plain": ("Accepted", "", None, False, ""),
        "Untouched": ("Accepted", "", None, False, ""),
    }
    again = [result for _, result in change(api, **body)]
    assert again == ["updated", "updated", "updated", "not_found", "not_found"]


def test_has_nothing_to_do_for_empty_lists(api: Api) -> None:
    assert change(api) == change(api, upsert=[], delete=[]) == []


def test_touches_the_tags_of_no_other_organization(api: Api) -> None:
    other = make_api("Other", root=RESOURCES)
    tag(other, "RFID-1", description="theirs")
    assert change(api, delete=["RFID-1"]) == [("RFID-1", "not_found")]
    assert change(api, upsert=[{"id_tag": "RFID-1", "description": "ours"}]) == [("RFID-1", "created")]
    assert sorted(IdTag.objects.values_list("organization__name", "description")) == [
        ("Other", "theirs"),
        ("Test", "ours"),
    ]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"upsert": [{"id_tag": "a"}, {"id_tag": "A"}]}, ["upsert[0].id_tag", "upsert[1].id_tag"]),
        ({"upsert": [{"id_tag": "a"}], "delete": ["b", "A"]}, ["upsert[0].id_tag", "delete[1]"]),
        ({"delete": ["a", "a"]}, ["delete[0]", "delete[1]"]),
        ({"upsert": {"id_tag": "a"}}, ["upsert"]),
        ({"upsert": None}, ["upsert"]),
        ({"upsert": ["a"]}, ["upsert[0]"]),
        ({"upsert": [{}]}, ["upsert[0].id_tag"]),
        ({"delete": "a"}, ["delete"]),
        ({"delete": [{"id_tag": "a"}, "x" * 21, ""]}, ["delete[0]", "delete[1]", "delete[2]"]),
        ({"id_tags": []}, ["id_tags"]),
        ({"upsert": [{"id_tag": f"{number}"} for number in range(AT_ONCE + 1)]}, ["upsert"]),
        ({"delete": [f"{number}" for number in range(AT_ONCE + 1)]}, ["delete"]),
        (
            {"delete": [f"{number}" for number in range(AT_ONCE)], "upsert": [{"id_tag": "a"}]},
            ["upsert"],
        ),
    ],
)
def test_refuses_a_bad_body_whole(api: Api, body: Any, paths: list[str]) -> None:
    tag(api, "kept")
    error = error_of(api.post("id-tags/bulk", body), 400, "validation_error")
    assert list(error["details"]) == paths
    assert list(stored()) == ["kept"]


def test_changes_as_many_as_it_takes_with_few_questions(api: Api) -> None:
    for number in range(0, AT_ONCE, 2):
        tag(api, f"TAG-{number}")
    upsert = [{"id_tag": f"TAG-{number}", "description": "new"} for number in range(AT_ONCE)]
    with CaptureQueriesContext(connection) as queries:
        results = change(api, upsert=upsert)
    assert [result for _, result in results] == ["updated", "created"] * (AT_ONCE // 2)
    assert len([query for query in queries if not query["sql"].startswith("UPDATE")]) < 15
    assert {values[-1] for values in stored().values()} == {"new"}


@pytest.fixture
def rivals(transactional_db: None) -> list[Api]:
    return [make_api(root=RESOURCES) for _ in range(4)]


def test_lets_those_who_change_the_same_at_once_wait_for_each_other(rivals: list[Api]) -> None:
    tags, barrier, statuses = [f"TAG-{number}" for number in range(40)], Barrier(len(rivals)), []

    def send(api: Api, order: int) -> None:
        barrier.wait()
        response = api.post("id-tags/bulk", {"upsert": [{"id_tag": id_tag} for id_tag in tags[::order]]})
        statuses.append(response.status_code)
        connections.close_all()

    threads = [Thread(target=send, args=(api, 1 if number % 2 else -1)) for number, api in enumerate(rivals)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * len(rivals)
    assert sorted(stored()) == sorted(tags)
    assert Organization.objects.count() == 1
