"""The event feed: for who cannot be called, or has missed something."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from django.db import Error
from django.db.models import Max
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.queries import StrictQueryView
from apikeys.scopes import READ_CHARGE_POINTS

from .database import in_database
from .events import EVENT, TYPES, body
from .examples import EVENT_FEED
from .models import ChargePoint, Event
from .serializers import Count
from .views import OfOrganization, WaitingView

LATEST = "latest"
LOOK_SECONDS = 0.5
MAXIMUM_SECONDS = 30
# Beyond this, who would wait is answered at once.
MAXIMUM_WAITING = 500
CURSOR = re.compile(r"1:([0-9]{1,18})")


def write_cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"1:{position}".encode()).decode().rstrip("=")


class CursorField(serializers.CharField):
    """The id of the last event that was read; None for `latest`."""

    default_error_messages = {"cursor": "Must be the cursor of an earlier answer, or latest."}

    def to_internal_value(self, data: Any) -> Any:
        text = str(data)
        if text == LATEST:
            return None
        try:
            found = CURSOR.fullmatch(base64.b64decode(text + "=" * (-len(text) % 4), "-_", validate=True).decode())
        except (binascii.Error, ValueError):
            found = None
        if found is None:
            self.fail("cursor")
        return int(found[1])


class TypesField(serializers.CharField):
    """Types of events, separated by commas."""

    default_error_messages = {"unknown": "Must be one or more, separated by commas, of: {known}."}

    def to_internal_value(self, data: Any) -> Any:
        types = [word.strip() for word in str(data).split(",")]
        if not set(types) <= set(TYPES):
            self.fail("unknown", known=", ".join(TYPES))
        return types


class FeedQuerySerializer(serializers.Serializer[Any]):
    """The query string of the feed."""

    after = CursorField(
        required=False, help_text="The cursor of the last answer; `latest` for what comes from now on; none for all."
    )
    limit = Count(min_value=1, max_value=200, default=100)
    event = TypesField(required=False, help_text="Only events of these types, separated by commas.")
    charge_point_id = serializers.CharField(required=False, help_text="Only events of this charge point.")
    wait = Count(
        min_value=0, max_value=MAXIMUM_SECONDS, default=0, help_text="Seconds to wait for an event if there is none."
    )


class FeedSerializer(serializers.Serializer[Any]):
    events = EVENT(many=True)
    cursor = serializers.CharField(help_text="Where to go on: the `after` of the next request.")
    has_more = serializers.BooleanField(help_text="Whether the next request will find more at once.")


class Page(NamedTuple):
    """Events, and the id up to which there are no others that were asked for."""

    events: list[Event]
    position: int
    has_more: bool = False


class Watch:
    """Wakes those who wait for events: one question for all of them, for as long as there are any."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Event, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.is_ended = False

    @asynccontextmanager
    async def of(self, organization_id: int) -> AsyncIterator[asyncio.Event]:
        """Sets the yielded whenever there may be events of the organization that were published from now on."""
        woken = asyncio.Event()
        self._waiting[woken] = organization_id
        try:
            if self._task is None or self._task.done():
                self._began = asyncio.Event()
                self._task = asyncio.get_running_loop().create_task(self._run(self._began))
            await self._began.wait()
            yield woken
        finally:
            del self._waiting[woken]

    def is_full(self) -> bool:
        return self.is_ended or len(self._waiting) >= MAXIMUM_WAITING

    def end(self) -> None:
        """Have nobody wait any more: the server ends."""
        self.is_ended = True
        self._wake(self._waiting.values())

    def _wake(self, organizations: Collection[int]) -> None:
        for woken, organization_id in self._waiting.items():
            if organization_id in organizations:
                woken.set()

    async def _run(self, began: asyncio.Event) -> None:
        try:
            seen = await in_database(newest)
            began.set()
            while self._waiting:
                await asyncio.sleep(LOOK_SECONDS)
                seen, organizations = await in_database(published_after, seen)
                self._wake(organizations)
        except Error:
            self._wake(self._waiting.values())  # they will ask for themselves, and tell
        finally:
            began.set()


def newest() -> int:
    return Event.objects.aggregate(last=Max("pk"))["last"] or 0


def published_after(position: int) -> tuple[int, set[int]]:
    """The newest id, and the organizations that have events behind that position."""
    last = newest()
    if last <= position:
        return position, set()
    rows = Event.objects.filter(pk__gt=position, pk__lte=last).order_by()
    return last, set(rows.values_list("organization_id", flat=True).distinct())


watch = Watch()


class EventFeedView(OfOrganization, StrictQueryView, WaitingView, GenericAPIView[ChargePoint]):
    """What happened, in an order in which nothing is inserted later: whoever goes on at the cursor misses nothing."""

    http_method_names = ["get", "head"]
    required_scope = READ_CHARGE_POINTS
    queryset = ChargePoint.objects.all()
    serializer_class = FeedSerializer
    query_serializer_class = FeedQuerySerializer

    @extend_schema(
        operation_id="events",
        summary="List events",
        tags=["Events"],
        parameters=[FeedQuerySerializer],
        responses={200: FeedSerializer, 404: OpenApiTypes.OBJECT},
        examples=[EVENT_FEED],
    )
    async def get(self, request: Request) -> Response:
        rows, query = await self.in_thread(self.begin, request)
        page = await self.in_thread(self.read, rows, query)
        if query["wait"] and not page.events and not watch.is_full():
            page = await self.wait(rows, {**query, "after": page.position})
        events = [body(event) for event in page.events]
        return Response({"events": events, "cursor": write_cursor(page.position), "has_more": page.has_more})

    def begin(self, request: Request) -> tuple[Any, dict[str, Any]]:
        """The events that are asked for, and the rest of the query."""
        self.admit(request)
        asked, rows = self.asked(), Event.objects.for_key(self.request.auth)
        if "charge_point_id" in asked:
            rows = rows.filter(charge_point=self.get_charge_point(asked["charge_point_id"]))
        return rows, asked

    async def wait(self, rows: Any, query: dict[str, Any]) -> Page:
        """Read again and again, until there is something or the time is over."""
        page = Page([], query["after"])
        try:
            async with asyncio.timeout(query["wait"]), watch.of(self.request.auth.organization_id) as woken:
                while not page.events and not watch.is_ended:
                    page = await self.in_thread(self.read, rows, {**query, "after": page.position})
                    if not page.events:
                        await woken.wait()
                        woken.clear()
        except TimeoutError:
            pass
        return page

    def read(self, rows: Any, query: dict[str, Any]) -> Page:
        """A page of these events; where it is the last, it goes as far as the organization has events at all.

        What its key does not reach is passed over once, not with each request anew.
        """
        all_of_them = Event.objects.for_organization(self.request.auth.organization)
        last = all_of_them.order_by("-pk").values_list("pk", flat=True).first() or 0
        after = query.get("after", 0)
        after = last if after is None else after
        found = rows.in_feed(after, query.get("event", ())).select_related("charge_point")
        told = ("uuid", "type", "created_at", "data", "charge_point__identity", "charge_point__is_simulated")
        events = list(found.only(*told)[: query["limit"] + 1])
        if len(events) > query["limit"]:
            return Page(events[:-1], events[-2].pk, has_more=True)
        return Page(events, max(after, last, *(event.pk for event in events)))
