"""Charge points: read, registered and set up."""

from __future__ import annotations

from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet
from django.db.models.functions import Left
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from chargepoints.credentials import generate_password
from chargepoints.models import ChargePoint, Connector
from chargepoints.models.charge_point import RegistrationStatus, SecurityProfile
from chargepoints.serializers import STATUSES
from chargepoints.views import with_status

from . import examples
from .charge_point_serializers import (
    ChargePointSerializer,
    ConnectorStateSerializer,
    NewChargePointSerializer,
    PasswordSerializer,
    ProvisionedSerializer,
    SettingsSerializer,
)
from .filters import Flag, OneOf, Text
from .views import BeyondKey, ChargePointListView, Conflict, ListView, ResourceView

TAGS = ["Charge points"]
CONNECTORS = Prefetch("connectors", Connector.objects.order_by("connector_id"))
CHARGE_POINTS = ChargePoint.objects.select_related("organization").annotate(online=ChargePoint.has_socket())
CERTIFICATE = "Its security profile asks for a client certificate, not for a password."


class ChargePointFilters(django_filters.FilterSet):
    status = OneOf(STATUSES, method="in_status", help_text="With a connector in this status, as in the status list.")
    online = Flag(method="with_socket", help_text="With an open socket, or without.")
    registration_status = OneOf(RegistrationStatus.values)
    vendor = Text()
    model = Text()
    firmware_version = Text()
    simulated = Flag(field_name="is_simulated", help_text="Simulated ones, or those that are not.")
    starts_with = Text(method="starting", help_text="What the id begins with.")

    def in_status(self, charge_points: Any, name: str, status: str) -> QuerySet[ChargePoint]:
        return with_status(charge_points, status)

    def starting(self, charge_points: Any, name: str, start: str) -> QuerySet[ChargePoint]:
        # The first finds an index on PostgreSQL, and knows no case on SQLite.
        found = charge_points.filter(identity__startswith=start)
        return found.alias(start=Left("identity", len(start))).filter(start=start)

    def with_socket(self, charge_points: Any, name: str, is_online: bool) -> QuerySet[ChargePoint]:
        return charge_points.online() if is_online else charge_points.offline()


class OneView(ResourceView[ChargePoint]):
    """Of one charge point; a change is answered with what it made of it."""

    queryset = CHARGE_POINTS.prefetch_related(CONNECTORS)

    def told(self, identity: str, **password: Any) -> dict[str, Any]:
        """The charge point as it is now, and the password that it got."""
        charge_point = self.get_charge_point(identity)
        kind = ProvisionedSerializer if password else ChargePointSerializer
        for name, value in password.items():
            setattr(charge_point, name, value)
        return kind(charge_point, context=self.get_serializer_context()).data


@extend_schema_view(
    get=extend_schema(
        operation_id="list_charge_points",
        summary="List charge points",
        description="All charge points of the organization, by id.",
        tags=TAGS,
        responses=ChargePointSerializer,
        examples=[examples.CHARGE_POINT],
    ),
    post=extend_schema(
        operation_id="register_charge_point",
        summary="Register a charge point",
        description="Answers where it connects, and its password, which is told this one time and stored nowhere. That "
        "of a test key is simulated.",
        tags=TAGS,
        request=NewChargePointSerializer,
        responses={201: ProvisionedSerializer},
        examples=[examples.NEW_CHARGE_POINT, examples.PROVISIONED],
    ),
)
class ChargePointsView(OneView, ListView[ChargePoint]):
    http_method_names = ["get", "head", "post"]
    list_name = "charge_points"
    filterset_class = ChargePointFilters

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return NewChargePointSerializer if self.request.method == "POST" else ChargePointSerializer

    def post(self, request: Any) -> Response:
        values = {**self.given().validated_data, "is_simulated": request.auth.is_test}
        identity, password = values.pop("charge_point_id"), values.pop("password", None)
        if password is None and SecurityProfile(values["security_profile"]).needs_password:
            password = generate_password()
        permit_registration(request.auth, identity)
        register(request.auth.organization, identity, password, values)
        address = reverse("charge_point", args=[identity])
        return Response(self.told(identity, password=password), status=201, headers={"Location": address})


def permit_registration(api_key: Any, identity: str) -> None:
    """Raise BeyondKey for a key that is limited to other charge points."""
    allowed = api_key.allowed_charge_points
    if allowed is not None and identity not in allowed:
        raise BeyondKey(api_key, f"The API key may not register {identity}.")


def register(organization: Any, identity: str, password: str | None, values: dict[str, Any]) -> ChargePoint:
    """Make the charge point, or 409: whose the one is that has its identity is not told."""
    taken = Conflict("charge_point_id", "A charge point of this id exists already.")
    try:
        with transaction.atomic():
            return ChargePoint.objects.provision(organization, identity, password, **values)
    except IntegrityError:
        raise taken from None
    except ValidationError as error:
        if "identity" in error.message_dict:
            raise taken from None
        raise


@extend_schema_view(
    get=extend_schema(
        operation_id="get_charge_point",
        summary="Read a charge point",
        description="With its connectors, and since when what is told of them is known.",
        tags=TAGS,
        responses=ChargePointSerializer,
        examples=[examples.CHARGE_POINT],
    ),
    patch=extend_schema(
        operation_id="update_charge_point",
        summary="Change the settings of a charge point",
        description="What is left out stays as it is. A live connection stays until it closes.",
        tags=TAGS,
        request=SettingsSerializer,
        responses=ChargePointSerializer,
        examples=[examples.SETTINGS, examples.CHARGE_POINT],
    ),
)
class ChargePointView(OneView):
    http_method_names = ["get", "head", "patch"]
    serializer_class = SettingsSerializer

    def get(self, request: Request, charge_point_id: str) -> Response:
        return Response(self.told(charge_point_id))

    def patch(self, request: Request, charge_point_id: str) -> Response:
        self.given(partial=True)
        charge_point = self.get_charge_point(charge_point_id)
        serializer = self.given(instance=charge_point, partial=True)
        serializer.save()
        return Response(self.told(charge_point_id))


@extend_schema_view(
    post=extend_schema(
        operation_id="rotate_charge_point_password",
        summary="Give a charge point another password",
        description="Answers it this one time. It is required from now on; a live connection stays until it closes.",
        tags=TAGS,
        request=PasswordSerializer,
        responses=ProvisionedSerializer,
        examples=[examples.ROTATION, examples.PROVISIONED],
    )
)
class PasswordView(OneView):
    http_method_names = ["post"]
    serializer_class = PasswordSerializer

    def post(self, request: Request, charge_point_id: str) -> Response:
        asked = self.given().validated_data
        charge_point = self.get_charge_point(charge_point_id)
        if charge_point.security_profile == SecurityProfile.TLS_CERTIFICATE:
            raise serializers.ValidationError({"password": [CERTIFICATE]})
        password = asked.get("password") or generate_password()
        is_overlapping = asked["keep_current"] and charge_point.password_digest
        (charge_point.offer_password if is_overlapping else charge_point.set_password)(password)
        return Response(self.told(charge_point_id, password=password))


@extend_schema_view(
    get=extend_schema(
        operation_id="list_connectors",
        summary="List the connectors of a charge point",
        description="By number; 0 is the charge point itself.",
        tags=TAGS,
        responses=ConnectorStateSerializer,
        examples=[examples.CONNECTOR],
    )
)
class ConnectorsView(ChargePointListView):
    queryset = CHARGE_POINTS
    serializer_class = ConnectorStateSerializer
    list_name = related = "connectors"
