"""Charge points that are made to be simulated here, and deleted."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_view
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.fields import Choice
from chargepoints.api import examples
from chargepoints.api.charge_point_serializers import ChargePointSerializer, IdentitySerializer
from chargepoints.api.charge_points import OneView, permit_registration, register
from chargepoints.api.views import Conflict
from chargepoints.credentials import generate_password
from chargepoints.fields import OptionalText
from chargepoints.models import ChargePoint

from .models import Simulation
from .models.simulation import TooManySimulations
from .order_views import TAGS
from .refusals import NotSimulated
from .simulator.makes import MAKES, Make

MADE = OpenApiExample(
    "simulated charge point",
    value={
        **examples.CHARGE_POINT.value,
        "charge_point_id": "SANDBOX-1",
        "description": None,
        "is_simulated": True,
        "online": False,
        "stale": True,
        "connectors": [],
    },
    response_only=True,
    status_codes=["201"],
)
NEW = OpenApiExample(
    "new simulated charge point", value={"charge_point_id": "SANDBOX-1", "make": MAKES[1].vendor}, request_only=True
)


def described(make: Make) -> str:
    current = "DC" if make.direct_current else f"AC, {make.phases} phase{'s' * (make.phases > 1)}"
    return (
        f"`{make.vendor}`: {make.connectors} connector{'s' * (make.connectors > 1)}, {make.power / 1000:g} kW {current}"
    )


class NewSimulationSerializer(IdentitySerializer):
    """A simulated charge point to be."""

    make = Choice(
        [make.vendor for make in MAKES], default=MAKES[0].vendor, help_text="; ".join(map(described, MAKES)) + "."
    )
    description = OptionalText(max_length=200)


@extend_schema_view(
    post=extend_schema(
        operation_id="create_simulated_charge_point",
        summary="Create a simulated charge point",
        description="It connects some seconds later, and waits for orders and commands. Its password is its own.",
        tags=TAGS,
        request=NewSimulationSerializer,
        responses={201: ChargePointSerializer},
        examples=[NEW, MADE],
    )
)
class SimulationsView(OneView):
    http_method_names = ["post"]
    serializer_class = NewSimulationSerializer

    def post(self, request: Any) -> Response:
        asked = self.given().validated_data
        identity = asked["charge_point_id"]
        permit_registration(request.auth, identity)
        values = {"description": asked.get("description", ""), "is_simulated": True}
        try:
            with transaction.atomic():
                charge_point = register(request.auth.organization, identity, generate_password(), values)
                Simulation.objects.begin(charge_point, asked["make"])
        except TooManySimulations as error:
            raise Conflict("charge_point_id", str(error)) from None
        address = reverse("charge_point", args=[identity])
        return Response(self.told(identity), status=201, headers={"Location": address})


@extend_schema_view(
    delete=extend_schema(
        operation_id="delete_simulated_charge_point",
        summary="Delete a simulated charge point",
        description="With all that is known of it: its sessions, its events, its commands.",
        tags=TAGS,
        responses={204: None, 409: OpenApiTypes.OBJECT},
    )
)
class SimulationView(OneView):
    http_method_names = ["delete"]

    def delete(self, request: Request, charge_point_id: str) -> Response:
        charge_point = self.get_charge_point(charge_point_id)
        if not charge_point.is_simulated:
            raise NotSimulated(f"{charge_point.identity} is not simulated: its sessions are bills.")
        ChargePoint.objects.filter(pk=charge_point.pk).delete()
        return Response(status=204)
