from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.clock import written
from apikeys.scopes import READ_CHARGE_POINTS, WRITE_CHARGE_POINTS

from .database import snapshot
from .examples import ACTIVE_TRANSACTIONS, CHARGE_POINT_STATUSES
from .identities import IDENTITY_FORBIDDEN
from .models import ChargePoint, Connector, Listing, ListingChange
from .models.connector import LISTED
from .serializers import ActiveTransactionsSerializer, ConnectorSerializer, StatusesSerializer, StatusQuerySerializer

NO_CHARGE_POINT = "There is no such charge point in your organization."


class OfOrganization:
    """Confines a view to what its key reaches: the API's tenancy, but for commands, which `reaches` confines."""

    request: Any

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().for_key(self.request.auth)  # type: ignore[misc]

    def get_charge_point(self, identity: str) -> ChargePoint:
        """A charge point that the key reaches, or 404: any other is exactly like one that does not exist."""
        if not IDENTITY_FORBIDDEN.search(identity):
            with suppress(ChargePoint.DoesNotExist):
                return self.get_queryset().get(identity=identity)
        raise NotFound(NO_CHARGE_POINT)


async def in_thread_of_caller(function: Callable[..., Any], *args: Any) -> Any:
    return await sync_to_async(function)(*args)


class WaitingView(APIView):
    """A view that answers on the event loop, so that it may wait for long, by the first of its `http_method_names`."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        """APIView's, on an event loop; the server says which thread the work is done in."""
        self.in_thread = getattr(request, "in_thread", in_thread_of_caller)
        self.args, self.kwargs, self.headers = args, kwargs, self.default_response_headers
        self.request = self.initialize_request(request, *args, **kwargs)
        try:
            response = await getattr(self, self.http_method_names[0])(self.request)
        except Exception as error:
            response = self.handle_exception(error)
        self.response = self.finalize_response(self.request, response, *args, **kwargs)
        return self.response.render()

    def admit(self, request: Request) -> None:
        """Refuse who may not do this, and what is no method of it."""
        self.initial(request)
        if str(request.method).lower() not in self.http_method_names:
            self.http_method_not_allowed(request)


class ActiveTransactionsView(OfOrganization, GenericAPIView[ChargePoint]):
    """All currently active charging transactions of a charge point, online or not, the oldest first."""

    http_method_names = ["get", "head"]
    required_scope = WRITE_CHARGE_POINTS
    queryset = ChargePoint.objects.all()
    serializer_class = ActiveTransactionsSerializer

    @extend_schema(
        operation_id="active_transactions",
        summary="List active transactions",
        tags=["Reads"],
        examples=[ACTIVE_TRANSACTIONS],
    )
    def get(self, request: Request, charge_point_id: str) -> Response:
        charge_point = self.get_charge_point(charge_point_id)
        active = list(charge_point.transactions.active().order_by("started_at", "pk"))
        body = {"charge_point_id": charge_point.identity, "active_transactions": active, "total": len(active)}
        return Response(self.get_serializer(body).data)


class ChargePointStatusView(OfOrganization, GenericAPIView[ChargePoint]):
    """The OCPP status of all charge points of the organization, by id.

    Connector 0, the charge point itself, is listed only while it reports something other than Available.
    """

    http_method_names = ["get", "head"]
    required_scope = READ_CHARGE_POINTS
    queryset = ChargePoint.objects.all()
    serializer_class = StatusesSerializer

    @extend_schema(
        operation_id="charge_points_status",
        summary="List the statuses of charge points",
        tags=["Reads"],
        parameters=[StatusQuerySerializer],
        examples=[CHARGE_POINT_STATUSES],
    )
    def get(self, request: Request) -> Response:
        query = StatusQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        return Response(self.page(**{"status": "", **query.validated_data}))

    def page(self, page: int, per_page: int, status: str) -> dict[str, Any]:
        organization, start = self.request.auth.organization, (page - 1) * per_page
        if self.request.auth.is_test or self.request.auth.allowed_charge_points is not None:
            return self.page_of_few(page, per_page, status)
        with snapshot():
            extent = ListingChange.objects.for_organization(organization).extent(status, start)
            lines = Listing.objects.for_organization(organization).filter(status=status)
            page_of = lines.page(extent, start, per_page).values("charge_point")
            # Not narrowed to the organization again, as its lines are: SQLite would read all of its charge points.
            rows = shown(ChargePoint.objects.filter(pk__in=page_of))
        return {"charge_points": rows, "total": extent.total, "page": page, "per_page": per_page}

    def page_of_few(self, page: int, per_page: int, status: str) -> dict[str, Any]:
        """For a key that is limited to some charge points, or to simulated ones: these are few enough to be counted."""
        with snapshot():
            found = with_status(self.get_queryset(), status).order_by("identity")
            few = list(found.values_list("pk", flat=True))
            rows = shown(ChargePoint.objects.filter(pk__in=few[(page - 1) * per_page : page * per_page]))
        return {"charge_points": rows, "total": len(few), "page": page, "per_page": per_page}


def with_status(charge_points: QuerySet[ChargePoint], status: str) -> QuerySet[ChargePoint]:
    """Those with at least one listed connector in that status; all for ''."""
    if not status:
        return charge_points
    connectors = Connector.objects.filter(LISTED, charge_point=OuterRef("pk"), status=status)
    return charge_points.filter(Exists(connectors))


def shown(charge_points: QuerySet[ChargePoint]) -> list[dict[str, Any]]:
    """What the list shows of them, in two queries; online by the database's clock, which also writes the leases.

    Written as StatusesSerializer describes it, which would take a quarter of the answer's time to do it.
    """
    told = charge_points.annotate(online=ChargePoint.has_socket()).order_by("identity")
    rows: dict[int, dict[str, Any]] = {}
    for pk, identity, online, last_seen_at in told.values_list("pk", "identity", "online", "last_seen_at"):
        heard = {"online": online, "last_heartbeat_at": last_seen_at and written(last_seen_at)}
        rows[pk] = {"charge_point_id": identity, **heard, "connectors": []}
    connectors = Connector.objects.filter(LISTED, charge_point__in=list(rows)).order_by("connector_id")
    for connector in connectors.values("charge_point_id", *ConnectorSerializer.Meta.fields):
        listed, at = rows[connector.pop("charge_point_id")]["connectors"], connector["timestamp"]
        listed.append({**connector, "info": connector["info"] or None, "timestamp": at and written(at)})
    return list(rows.values())
