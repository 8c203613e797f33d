"""What the views of resources have in common."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar, cast

from django.db.models import Model, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from django_filters.utils import translate_validation
from rest_framework.exceptions import APIException, NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.mixins import ListModelMixin
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.key_texts import MODES
from apikeys.queries import StrictQueryView
from apikeys.scopes import READ_CHARGE_POINTS, WRITE_CHARGE_POINTS
from chargepoints.models import ChargePoint
from chargepoints.views import OfOrganization

from .pages import Pages

T = TypeVar("T", bound=Model)


class Conflict(APIException):
    """409: what is to be created is there."""

    status_code = 409
    code = "conflict"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.details = {field: [problem]}


class BeyondKey(PermissionDenied):
    """403 for a key that is limited to some charge points, and names them."""

    def __init__(self, api_key: Any, message: str) -> None:
        super().__init__(message)
        self.details = {"allowed_charge_points": api_key.allowed_charge_points}


def refuse_limited(api_key: Any, model: Any) -> None:
    """Raise BeyondKey where a key is limited to some charge points: these rows are of all."""
    if api_key.allowed_charge_points is not None:
        name = model._meta.verbose_name_plural
        raise BeyondKey(api_key, f"The API key is limited to some charge points, and {name} are of all.")


class BeyondTestKey(PermissionDenied):
    """403 for a test key where real charge points depend on what is asked for."""

    def __init__(self, model: Any) -> None:
        super().__init__(
            f"A test key reaches simulated charge points only, and {model._meta.verbose_name_plural} are "
            "of the real ones, too."
        )
        self.details = {"mode": MODES[True]}


class ResourceView(OfOrganization, StrictQueryView, GenericAPIView[T]):
    """A resource that is read by one scope and written by another."""

    http_method_names = ["get", "head"]
    read_scope = READ_CHARGE_POINTS
    write_scope = WRITE_CHARGE_POINTS

    @property
    def required_scope(self) -> str:
        return self.read_scope if self.request.method in SAFE_METHODS else self.write_scope

    def find(self, **lookups: Any) -> T:
        """The one row, or 404."""
        found = self.get_queryset().filter(**lookups).first()
        if found is None:
            raise NotFound(f"There is no such {self.get_queryset().model._meta.verbose_name} in your organization.")
        return found

    def given(self, **options: Any) -> Any:
        """The serializer of the body, which is valid; else 400."""
        serializer = self.get_serializer(data=self.request.data, **options)
        serializer.is_valid(raise_exception=True)
        return serializer


class ListView(ListModelMixin, ResourceView[T]):
    """A list under the name `list_name`, filtered by `filterset_class`, in `pages`."""

    list_name: str
    pages: type[Pages] = Pages
    filter_backends = [DjangoFilterBackend]
    filterset_class: Any = None

    @property
    def pagination_class(self) -> Any:  # type: ignore[override]
        return partial(self.pages, self.list_name)

    def parameters(self) -> Iterator[str]:
        yield from super().parameters()
        yield from self.pages.described if self.pagination_class else ()
        if self.filterset_class is not None:
            yield from self.filterset_class.base_filters

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return self.list(request)

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        filters, paginator = self.filters(), cast(Pages, self.paginator)
        paginator.ask(request)
        page = paginator.take(filters.filter_queryset(self.rows()) if filters else self.rows())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def filters(self) -> Any:
        """What the list is to be filtered by, or 400: a query is judged before its charge point is looked for."""
        if self.filterset_class is None:
            return None
        filters = self.filterset_class(self.request.query_params, cast(Any, self).queryset, request=self.request)
        if not filters.is_valid():
            raise translate_validation(filters.errors)
        return filters

    def rows(self) -> QuerySet[T]:
        """All that the list may show, in its order."""
        return self.get_queryset()


class WholeOrganizationView(ResourceView[T]):
    """What every charge point of the organization heeds: not for keys that reach only some of them."""

    def check_permissions(self, request: Any) -> None:
        super().check_permissions(request)
        model = cast(Any, self).queryset.model
        if request.auth.is_test:
            raise BeyondTestKey(model)
        refuse_limited(request.auth, model)


class ChargePointListView(ListView[Any]):
    """A list of what belongs to the charge point in the path, under its relation `related`."""

    queryset = ChargePoint.objects.all()
    related: str

    def rows(self) -> QuerySet[Any]:
        return getattr(self.get_charge_point(self.kwargs["charge_point_id"]), self.related).all()
