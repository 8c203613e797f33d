"""What was measured in a session: as series for a chart, and as it was sent, in a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.clock import written
from apikeys.fields import Moment, Text
from apikeys.scopes import READ_SESSIONS
from chargepoints import csv_files
from chargepoints.models import MeterValue, Transaction
from chargepoints.readings import IMPORT_REGISTER, number, objects, unit_of
from chargepoints.serializers import Count

from . import examples
from .series import Key, Point, collect, resolution_for, thinned
from .sessions import SESSIONS, TAGS, file_of
from .views import ResourceView

DAY_SECONDS = 86_400
# As many are read for one answer: of a whole day, one every 4.3 seconds.
MAXIMUM_READINGS = 20_000
MAXIMUM_POINTS = 5_000
MEMBERS = ("measurand", "phase", "location", "context", "format", "unit", "value")


class MeterValuesQuery(serializers.Serializer[Any]):
    """The query string of a session's series."""

    measurand = Text(required=False, help_text=f"Such as `{IMPORT_REGISTER}`; if omitted, all.")
    phase = Text(required=False, help_text="Such as `L1`; if omitted, all.")
    since = Moment(required=False, help_text="At that time or later.")
    before = Moment(required=False, help_text="Before that time.")
    resolution = Count(
        required=False, min_value=1, max_value=DAY_SECONDS, help_text="Seconds that one point stands for, at least."
    )
    max_points = Count(
        min_value=2,
        max_value=MAXIMUM_POINTS,
        default=500,
        help_text="In each series; where there are more, fewer stand for them.",
    )


class PointSerializer(serializers.Serializer[Any]):
    """What was measured since the point before."""

    timestamp = serializers.DateTimeField(help_text="When the newest of its readings was taken.")
    value = serializers.FloatField(help_text="Of a register the newest reading, of anything else the mean.")
    minimum = serializers.FloatField()
    maximum = serializers.FloatField()
    readings = serializers.IntegerField(help_text="How many it stands for.")


class SeriesSerializer(serializers.Serializer[Any]):
    """One measurand, at one phase and location, in one unit."""

    measurand = serializers.CharField()
    phase = serializers.CharField(allow_null=True)
    location = serializers.CharField()
    unit = serializers.CharField(allow_null=True)
    points = PointSerializer(many=True)


class MeterValuesSerializer(serializers.Serializer[Any]):
    """The meter values of a session."""

    transaction_id = serializers.IntegerField()
    charge_point_id = serializers.CharField()
    resolution = serializers.IntegerField(allow_null=True, help_text="Seconds; null where every reading is a point.")
    series = SeriesSerializer(many=True)


class OfSession(ResourceView[Transaction]):
    read_scope = READ_SESSIONS
    queryset = SESSIONS


@extend_schema_view(
    get=extend_schema(
        operation_id="session_meter_values",
        summary="Read the meter values of a session as series",
        description="By measurand, phase, location and unit, the oldest point first. Signed data, and what is no "
        f"number, is only in `meter-values.csv`. Of more than {MAXIMUM_READINGS:,} readings, ask for a part by "
        "`since` and `before`.",
        tags=TAGS,
        parameters=[MeterValuesQuery],
        responses=MeterValuesSerializer,
        examples=[examples.METER_VALUES],
    )
)
class MeterValuesView(OfSession):
    query_serializer_class = MeterValuesQuery

    def get(self, request: Request, transaction_id: int) -> Response:
        asked = self.asked()
        session: Any = self.find(pk=transaction_id)
        found = collect(readings_of(session, asked), asked.get("measurand"), asked.get("phase"))
        resolution = resolution_for(found, asked.get("resolution"), asked["max_points"])
        told = {key: thinned(key, points, resolution) if resolution else points for key, points in found.items()}
        body = {"transaction_id": session.pk, "charge_point_id": session.identity, "resolution": resolution}
        return Response({**body, "series": [as_told(key, points) for key, points in told.items()]})


def readings_of(session: Transaction, asked: dict[str, Any]) -> list[tuple[datetime, Any]]:
    """When each of the session's readings was taken, and what it holds; 400 where they are too many."""
    bounds = {"since": "timestamp__gte", "before": "timestamp__lt"}
    rows = session.meter_values.filter(**{bounds[name]: asked[name] for name in bounds if name in asked})
    found = list(rows.order_by("timestamp", "id").values_list("timestamp", "sampled_values")[: MAXIMUM_READINGS + 1])
    if len(found) > MAXIMUM_READINGS:
        problem = f"There are more than {MAXIMUM_READINGS:,} readings: ask for a part of them."
        raise serializers.ValidationError({"since": [problem]})
    return found


def as_told(key: Key, points: list[Point]) -> dict[str, Any]:
    """A series as PointSerializer would tell it, at a tenth of the time."""
    return {
        **key._asdict(),
        "points": [{**point._asdict(), "timestamp": written(point.timestamp)} for point in points],
    }


@extend_schema_view(
    get=extend_schema(
        operation_id="export_session_meter_values",
        summary="Export the meter values of a session as CSV",
        description="Every sample as the charge point sent it, the oldest first.",
        tags=TAGS,
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
)
class MeterValuesFileView(OfSession):
    def get(self, request: Request, transaction_id: int) -> HttpResponseBase:
        rows = self.find(pk=transaction_id).meter_values.order_by("timestamp", "id")
        content = csv_files.stream(rows, ["timestamp", *MEMBERS], samples_of)
        return file_of(f"meter-values-{transaction_id}", request, content)


def samples_of(meter_value: MeterValue) -> Iterator[list[Any]]:
    """A line for each sample, with what OCPP says where the charge point left something out."""
    for sample in objects(meter_value.sampled_values):
        implied = {"measurand": IMPORT_REGISTER, "location": "Outlet", "context": "Sample.Periodic", "format": "Raw"}
        told = {**implied, **sample, "unit": unit_of(sample)}
        value = number(sample)
        told["value"] = sample.get("value") if value is None else value
        yield [meter_value.timestamp, *(told.get(name) for name in MEMBERS)]
