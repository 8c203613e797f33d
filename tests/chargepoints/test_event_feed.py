"""GET /api/v1/events: pages, filters, cursors, waiting, and whose events they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx2
import pytest

from chargepoints.models import Event, OutboxEvent
from chargepoints.models.event import Happened
from chargepoints.outbox import publish
from tests.api import Api, error_of, make_api, make_charge_point
from tests.conftest import eventually
from tests.events import assert_described, is_published

FEED = "/api/v1/events"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api() -> Any:
    return make_api()


@pytest.fixture
def row(api: Any) -> Any:
    return make_charge_point(api.organization)


def happen(row: Any, *marks: str, kind: str = "security.event") -> None:
    """Have events published that carry these marks."""
    data = {"technical_information": None, "timestamp": "2026-01-01T00:00:00Z"}
    OutboxEvent.objects.record(Happened(row.pk, kind, {"type": mark, **data}) for mark in marks)
    while publish():
        pass


def marks(body: Any) -> list[str]:
    return [event["data"]["type"] for event in body["events"]]


def follow(api: Any, **query: Any) -> Iterable[Any]:
    """The pages of the feed until there is no more."""
    has_more = True
    while has_more:
        response = api.get(FEED, query)
        assert response.status_code == 200, response.content
        body = response.json()
        yield body
        query["after"], has_more = body["cursor"], body["has_more"]


def test_tells_everything_in_order_page_by_page(api: Any, row: Any) -> None:
    happen(row, *"abcde")
    pages = list(follow(api, limit=2))
    assert [marks(page) for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert [page["has_more"] for page in pages] == [True, True, False]
    for event in pages[0]["events"]:
        assert_described(event)
        assert event["data"]["charge_point_id"] == row.identity


def test_goes_on_at_the_cursor(api: Any, row: Any) -> None:
    happen(row, "a")
    (first,) = follow(api)
    (nothing,) = follow(api, after=first["cursor"])
    assert nothing == {"events": [], "cursor": first["cursor"], "has_more": False}
    happen(row, "b")
    (second,) = follow(api, after=nothing["cursor"])
    assert marks(second) == ["b"]


def test_begins_with_what_comes_from_now_on(api: Any, row: Any) -> None:
    happen(row, "before")
    (now,) = follow(api, after="latest")
    assert now["events"] == []
    happen(row, "after")
    (later,) = follow(api, after=now["cursor"])
    assert marks(later) == ["after"]


def test_begins_in_an_empty_feed(api: Any, row: Any) -> None:
    for after in ({}, {"after": "latest"}):
        (empty,) = follow(api, **after)
        assert empty["events"] == []
        assert not empty["has_more"]
    happen(row, "first")
    (page,) = follow(api, after=empty["cursor"])
    assert marks(page) == ["first"]


def test_filters_by_type_and_does_not_look_at_the_rest_again(api: Any, row: Any) -> None:
    happen(row, "a")
    happen(row, "b", kind="charge_point.booted")
    happen(row, "c", kind="charge_point.fault")
    happen(row, "d", kind="session.authorized")
    (page,) = follow(api, event="charge_point.booted, charge_point.fault")
    assert [event["event"] for event in page["events"]] == ["charge_point.booted", "charge_point.fault"]
    (all_of_it,) = follow(api)
    assert page["cursor"] == all_of_it["cursor"]


def test_tells_an_event_of_a_type_that_it_does_not_know_as_it_is(api: Any, row: Any) -> None:
    happen(row, "a", kind="session.of_tomorrow")
    (page,) = follow(api)
    assert page["events"][0]["event"] == "session.of_tomorrow"
    assert page["events"][0]["data"]["charge_point_id"] == row.identity
    assert marks(page) == ["a"]


def test_filters_by_charge_point(api: Any, row: Any) -> None:
    other = make_charge_point(api.organization, "ANOTHER")
    happen(row, "a")
    happen(other, "b")
    (page,) = follow(api, charge_point_id="ANOTHER")
    assert marks(page) == ["b"]


@pytest.mark.parametrize("limit", [{"is_test": True}, {"allowed_charge_points": ["NONE"]}])
def test_passes_over_what_a_key_does_not_reach_once(api: Any, row: Any, limit: Any) -> None:
    happen(row, "a")
    limited = Api(api.organization, **limit)
    (page,), (all_of_it,) = follow(limited), follow(api)
    assert (page["events"], page["cursor"]) == ([], all_of_it["cursor"])
    (latest,) = follow(limited, after="latest")
    assert latest["cursor"] == all_of_it["cursor"]


def test_tells_nothing_of_another_organization(api: Any, row: Any) -> None:
    stranger = make_api("Stranger")
    happen(row, "ours")
    (page,) = follow(stranger)
    assert page["events"] == []
    error_of(stranger.get(FEED, {"charge_point_id": row.identity}), 404, "not_found")


def test_leaves_out_tests_of_webhooks(api: Any) -> None:
    Event.objects.publish_test(api.organization, {"endpoint_id": "0"})
    (page,) = follow(api)
    assert page["events"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "42"}, "after"),
        ({"after": "MTphYmM"}, "after"),
        ({"after": "ü"}, "after"),
        ({"after": "MTo5OTk5OTk5OTk5OTk5OTk5OTk5OTk"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"wait": "31"}, "wait"),
        ({"wait": "soon"}, "wait"),
        ({"event": "session.paid"}, "event"),
        ({"event": "webhook.test"}, "event"),
        ({"event": "session.started,"}, "event"),
        ({"charge_point_id": "\x00"}, "charge_point_id"),
        ({"afer": "latest"}, "afer"),
        ({"after": ""}, "after"),
        ({"limit": ["1", "2"]}, "limit"),
    ],
)
def test_refuses_what_it_cannot_read(api: Any, query: Any, field: str) -> None:
    error = error_of(api.get(FEED, query), 400, "validation_error")
    assert list(error["details"]) == [field]


def test_asks_for_its_scope(row: Any) -> None:
    api = make_api(scopes=["write:charge_points"])
    error = error_of(api.get(FEED), 403, "forbidden")
    assert error["details"] == {"required_scope": "read:charge_points"}
    error_of(api.client.get(FEED), 401, "unauthorized")


def test_is_only_read(api: Any) -> None:
    error_of(api.post(FEED, {}), 405, "method_not_allowed")
    assert api.client.head(FEED, headers=api.headers({})).status_code == 200


async def wait_in(servers: Any, key: str, **query: Any) -> Any:
    async with httpx2.AsyncClient(base_url=servers.http_url, timeout=40) as client:
        return (await client.get(FEED, params=query, headers={"X-API-Key": key})).json()


async def waiting(servers: Any, key: str, **query: Any) -> Any:
    """A request that waits, and the cursor that it waits behind."""
    cursor = (await wait_in(servers, key, after="latest"))["cursor"]
    task = asyncio.create_task(wait_in(servers, key, after=cursor, wait=30, **query))
    done, _ = await asyncio.wait([task], timeout=1)
    assert not done
    return task


async def test_waits_for_an_event(servers: Any, make_key: Any, charge_point: Any) -> None:
    await eventually(is_published)
    tasks = [await waiting(servers, make_key()) for _ in range(3)]
    await charge_point.status(status="Charging")
    await eventually(is_published)
    for page in await asyncio.gather(*tasks):
        assert [event["data"]["status"] for event in page["events"]] == ["Charging"]


async def test_waits_on_while_nothing_that_is_asked_for_happens(
    servers: Any, make_key: Any, connect: Any, charge_point: Any, other_organization: Any, make_charge_point: Any
) -> None:
    await eventually(is_published)
    task = await waiting(servers, make_key(), event="charge_point.fault")
    await connect(make_charge_point(owner=other_organization))
    await charge_point.status(status="Preparing")
    await eventually(is_published)
    done, _ = await asyncio.wait([task], timeout=1.5)
    assert not done
    await charge_point.status(status="Faulted", error_code="GroundFailure")
    await eventually(is_published)
    assert [event["event"] for event in (await task)["events"]] == ["charge_point.fault"]


async def test_ends_with_nothing_when_the_time_is_over(servers: Any, make_key: Any) -> None:
    page = await wait_in(servers, make_key(), wait=1)
    assert page["events"] == []
