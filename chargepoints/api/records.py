"""What charge points accepted and keep: reservations, charging profiles, and their configuration."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import F, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from apikeys.fields import JSONObject
from chargepoints.models import ChargingProfile, ConfigurationKey, Reservation
from chargepoints.models.authorization import named
from chargepoints.models.configuration import name_of
from chargepoints.models.reservation import EXPIRED

from . import examples
from .filters import Flag, OfChargePoint, OneOf, Text, any_number
from .pages import FirstPages
from .rows import RowSerializer
from .views import ChargePointListView, ListView

TAGS = ["Records"]
PURPOSES = ("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile")
RESERVATION_STATES = (*Reservation.State.values, EXPIRED)


class ReservationSerializer(RowSerializer[Reservation]):
    """A reservation that the charge point accepted."""

    charge_point_id = serializers.CharField(source="identity")
    state = serializers.ChoiceField(RESERVATION_STATES, source="current_state")

    class Meta:
        model = Reservation
        fields = [
            *("charge_point_id", "reservation_id", "connector_id", "id_tag", "parent_id_tag", "state"),
            *("created_at", "expires_at", "ended_at"),
        ]


class ReservationFilters(OfChargePoint):
    counted = ("connector_id", "reservation_id")

    reservation_id = any_number("The one of this id, together with `charge_point_id`.")
    id_tag = Text(method="for_tag", help_text="For this id tag, in whatever case.")
    state = OneOf(RESERVATION_STATES, method="in_state")

    def for_tag(self, reservations: QuerySet[Reservation], name: str, id_tag: str) -> QuerySet[Reservation]:
        return named(reservations, [id_tag])

    def in_state(self, reservations: Any, name: str, state: str) -> QuerySet[Reservation]:
        return reservations.in_state(state)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_reservations",
        summary="List reservations",
        description="All that charge points accepted, the newest first.",
        tags=TAGS,
        responses=ReservationSerializer,
        examples=[examples.RESERVATION],
    )
)
class ReservationsView(ListView[Reservation]):
    queryset = Reservation.objects.annotate(identity=F("charge_point__identity")).order_by("-pk")
    serializer_class = ReservationSerializer
    filterset_class = ReservationFilters
    list_name = "reservations"
    pages = FirstPages


class ProfileRecordSerializer(RowSerializer[ChargingProfile]):
    """A charging profile that the charge point accepted, and whether it is in force."""

    charge_point_id = serializers.CharField(source="identity")
    charging_profile = JSONObject(source="profile", help_text="OCPP's ChargingProfile.")

    class Meta:
        model = ChargingProfile
        fields = [
            *("charge_point_id", "connector_id", "charging_profile_id", "purpose", "stack_level", "charging_profile"),
            *("created_at", "cleared_at"),
        ]


class ProfileFilters(OfChargePoint):
    counted = ("connector_id", "charging_profile_id")

    charging_profile_id = any_number("The ones of this id, together with `charge_point_id`.")
    purpose = OneOf(PURPOSES)
    active = Flag(method="in_force", help_text="In force, or cleared or replaced.")

    def in_force(self, profiles: Any, name: str, is_active: bool) -> QuerySet[ChargingProfile]:
        return profiles.active() if is_active else profiles.exclude(cleared_at=None)


@extend_schema_view(
    get=extend_schema(
        operation_id="list_charging_profiles",
        summary="List charging profiles",
        description="All that charge points accepted, the newest first; `active=true` keeps those in force.",
        tags=TAGS,
        responses=ProfileRecordSerializer,
        examples=[examples.CHARGING_PROFILE],
    )
)
class ChargingProfilesView(ListView[ChargingProfile]):
    queryset = ChargingProfile.objects.annotate(identity=F("charge_point__identity")).order_by("-pk")
    serializer_class = ProfileRecordSerializer
    filterset_class = ProfileFilters
    list_name = "charging_profiles"
    pages = FirstPages


class ConfigurationKeySerializer(RowSerializer[ConfigurationKey]):
    """A configuration key, as the charge point last told or accepted it."""

    class Meta:
        model = ConfigurationKey
        fields = ["key", "value", "value_after_reboot", "readonly", "as_of"]


class ConfigurationFilters(django_filters.FilterSet):
    key = Text(method="with_key", help_text="This key only, in whatever case.")

    def with_key(self, keys: QuerySet[ConfigurationKey], name: str, key: str) -> QuerySet[ConfigurationKey]:
        return keys.filter(name=name_of(key))


@extend_schema_view(
    get=extend_schema(
        operation_id="list_configuration",
        summary="Read what is known of a charge point's configuration",
        description="What GetConfiguration last answered, and what ChangeConfiguration changed since; `send_command` "
        "with GetConfiguration asks again. Passwords are masked.",
        tags=TAGS,
        responses=ConfigurationKeySerializer,
        examples=[examples.CONFIGURATION],
    )
)
class ConfigurationView(ChargePointListView):
    serializer_class = ConfigurationKeySerializer
    filterset_class = ConfigurationFilters
    list_name = related = "configuration"
