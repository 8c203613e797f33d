from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, AuthenticationFailed, NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from .authentication import REFUSED
from .examples import API_KEY, API_KEYS, KEY, ME, NEW_API_KEY, ROTATION
from .fields import PageQuery
from .models import AlreadyRevoked, ApiKey
from .queries import StrictQueryView, page_of
from .scopes import ANY_KEY, READ_API_KEYS, WRITE_API_KEYS
from .serializers import (
    ApiKeySerializer,
    ApiKeysSerializer,
    IssuedApiKeySerializer,
    MeSerializer,
    NewApiKeySerializer,
    RotationSerializer,
)

NO_API_KEY = "There is no such API key in your organization."


class GrantsTooMuch(PermissionDenied):
    """403 that names in what the key to be made would be able to do more than the caller's own."""

    def __init__(self, exceeding: list[str]) -> None:
        super().__init__(f"An API key can grant no more than it has itself: {', '.join(exceeding)}.")
        self.details = {"exceeds": exceeding}


class NotActive(APIException):
    """409: only an active key can be rotated, and only once."""

    status_code, code = 409, "key_not_active"


class OfKeys(StrictQueryView, GenericAPIView[ApiKey]):
    """The keys of the caller's organization; for a test key, its test keys."""

    queryset = ApiKey.objects.order_by("pk")
    serializer_class: Any = ApiKeySerializer
    request: Any

    def get_queryset(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.for_key(self.request.auth).order_by("pk")

    def get_api_key(self, pk: int) -> ApiKey:
        """The organization's key, or 404: another organization's is exactly like one that does not exist."""
        found = self.get_queryset().select_related("organization").filter(pk=pk).first()
        if found is None:
            raise NotFound(NO_API_KEY)
        return found

    def hold(self, *pks: int) -> dict[int, ApiKey]:
        """These keys and the caller's own, for the transaction; refuses the caller by what is left of that by now."""
        rows: Any = self.get_queryset()
        found: dict[int, ApiKey] = rows.hold(self.request.auth.pk, *pks)
        own = found.get(self.request.auth.pk)
        if own is None or not own.is_usable:
            raise AuthenticationFailed(REFUSED)
        self.request.auth = own
        self.check_permissions(self.request)
        return found

    def shown(self, api_key: ApiKey) -> ApiKey:
        """The row as the caller may see it: of charge points that its own key does not reach it learns nothing."""
        own = self.request.auth.allowed_charge_points
        if own is not None and api_key.allowed_charge_points is not None:
            api_key.allowed_charge_points = [identity for identity in api_key.allowed_charge_points if identity in own]
        return api_key

    def validated(self, serializer_class: Any, data: Any) -> dict[str, Any]:
        serializer = serializer_class(data=data)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def issued(self, api_key: ApiKey, text: str) -> Response:
        """Tells of a new key: the only answer that holds its text."""
        api_key.key = text  # type: ignore[attr-defined]
        headers = {"Location": reverse("api_key", args=[api_key.pk])}
        return Response(IssuedApiKeySerializer(api_key).data, status=201, headers=headers)


def refuse_more(asked: ApiKey, own: ApiKey) -> None:
    if exceeding := asked.exceeds(own):
        raise GrantsTooMuch(exceeding)


class ApiKeysView(OfKeys):
    http_method_names = ["get", "head", "post"]
    required_scope = {"GET": READ_API_KEYS, "POST": WRITE_API_KEYS}
    query_serializer_class = PageQuery

    @extend_schema(
        operation_id="list_api_keys",
        summary="List API keys",
        description="All keys of the organization, the revoked and expired among them, by id; a test key is shown the "
        "test keys.",
        tags=["API keys"],
        parameters=[PageQuery],
        responses=ApiKeysSerializer,
        examples=[API_KEYS],
    )
    def get(self, request: Request) -> Response:
        page = page_of("api_keys", self.get_queryset(), self.asked())
        page["api_keys"] = [self.shown(row) for row in page["api_keys"]]
        return Response(ApiKeysSerializer(page).data)

    @extend_schema(
        operation_id="create_api_key",
        summary="Create an API key",
        description=(
            "The answer holds the full key, this one time. A key can grant no more than it has itself: neither other "
            "scopes, nor wider limits, nor a later expiry; and a test key makes test keys only."
        ),
        tags=["API keys"],
        request=NewApiKeySerializer,
        responses={201: IssuedApiKeySerializer},
        examples=[NEW_API_KEY, API_KEY],
    )
    def post(self, request: Request) -> Response:
        values = self.validated(NewApiKeySerializer, request.data)
        with transaction.atomic():
            self.hold()
            own = self.request.auth
            asked = {"expires_at": own.expires_at, "is_test": own.is_test, **own.limits, **values}
            refuse_more(ApiKey(**asked), own)
            issued = ApiKey.objects.issue(own.organization, **asked, made_by=own)
        return self.issued(*issued)


class ApiKeyView(OfKeys):
    http_method_names = ["get", "head"]
    required_scope = READ_API_KEYS

    @extend_schema(operation_id="read_api_key", summary="Read an API key", tags=["API keys"], examples=[KEY])
    def get(self, request: Request, pk: int) -> Response:
        return Response(ApiKeySerializer(self.shown(self.get_api_key(pk))).data)


class RevokeView(OfKeys):
    http_method_names = ["post"]
    required_scope = WRITE_API_KEYS

    @extend_schema(
        operation_id="revoke_api_key",
        summary="Revoke an API key",
        description="It is refused from now on; so may be your own. One that is revoked already stays as it is.",
        tags=["API keys"],
        request=None,
        responses=ApiKeySerializer,
        examples=[KEY],
    )
    def post(self, request: Request, pk: int) -> Response:
        self.get_api_key(pk).revoke()
        return Response(ApiKeySerializer(self.shown(self.get_api_key(pk))).data)


class RotateView(OfKeys):
    http_method_names = ["post"]
    required_scope = WRITE_API_KEYS

    @extend_schema(
        operation_id="rotate_api_key",
        summary="Rotate an API key",
        description=(
            "Makes a key with the same name, rights and expiry, and shows it this one time. The old one is taken for a "
            "while longer, and refused then. A key that may do more than your own you cannot rotate."
        ),
        tags=["API keys"],
        request=RotationSerializer,
        responses={201: IssuedApiKeySerializer, 409: OpenApiTypes.OBJECT},
        examples=[ROTATION, API_KEY],
    )
    def post(self, request: Request, pk: int) -> Response:
        overlap = timedelta(seconds=self.validated(RotationSerializer, request.data)["overlap_seconds"])
        self.get_api_key(pk)
        with transaction.atomic():
            api_key = self.hold(pk)[pk]
            refuse_more(api_key, self.request.auth)
            if api_key.state != "active":
                raise NotActive(f"The key is {api_key.state}: only an active key can be rotated.")
            try:
                issued = api_key.rotate(overlap=overlap, made_by=self.request.auth)
            except AlreadyRevoked as error:
                raise NotActive(str(error)) from None
        return self.issued(*issued)


class MeView(StrictQueryView, GenericAPIView[ApiKey]):
    http_method_names = ["get", "head"]
    required_scope = ANY_KEY
    serializer_class = MeSerializer
    request: Any

    @extend_schema(
        operation_id="me",
        summary="Tell about your own key",
        description="Any key may ask this.",
        tags=["API keys"],
        examples=[ME],
    )
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(self.request.auth).data)
