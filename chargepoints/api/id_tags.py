"""Id tags: the cards and tokens of drivers, one by one and many at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import django_filters
from django.db import IntegrityError, transaction
from django.db.models.functions import Upper
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.clock import now
from apikeys.fields import Boolean, Choice, Moment, StrictSerializer
from chargepoints.fields import IdTagText, OptionalText
from chargepoints.models import IdTag
from chargepoints.models.authorization import ID_TAG_LENGTH, named

from . import examples
from .filters import OneOf, Text
from .rows import RowSerializer
from .views import Conflict, ListView, WholeOrganizationView

TAGS = ["Id tags"]
AT_ONCE = 1000
TAKEN = "The organization has this id tag already."
NOT_LISTED = (
    "From then on it is as unknown as any other, and authorized where the organization accepts unknown tags: "
    "to refuse it, block it."
)


class IdTagSerializer(RowSerializer[IdTag]):
    """An id tag that the organization has listed."""

    authorization_status = serializers.SerializerMethodField(help_text="What a charge point is told now.")

    class Meta:
        model = IdTag
        fields = [
            *("id_tag", "status", "authorization_status", "parent_id_tag", "expires_at", "allow_concurrent"),
            *("description", "created_at"),
        ]

    def get_authorization_status(self, id_tag: IdTag) -> str:
        return id_tag.authorization(now()).status


class IdTagChangesSerializer(StrictSerializer):
    """What may be said of an id tag; what is left out stays as it is."""

    status = Choice(IdTag.Status.values, required=False)
    parent_id_tag = OptionalText(max_length=ID_TAG_LENGTH, help_text="Tags with the same parent are of one group.")
    expires_at = Moment(required=False, allow_null=True, help_text="It is refused from then on.")
    allow_concurrent = Boolean(required=False, help_text="Whether it may charge on several connectors at once.")
    description = OptionalText(max_length=200)


class NewIdTagSerializer(IdTagChangesSerializer):
    """An id tag to be listed; tags are compared without case."""

    id_tag = IdTagText()


class BulkSerializer(StrictSerializer):
    """Id tags to be listed or changed, and such as are to be listed no more."""

    upsert = NewIdTagSerializer(many=True, default=list, max_length=AT_ONCE)  # type: ignore[call-arg]
    delete = serializers.ListField(child=IdTagText(), default=list, max_length=AT_ONCE)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        tags = [(f"upsert[{number}].id_tag", item["id_tag"]) for number, item in enumerate(attrs["upsert"])]
        tags += [(f"delete[{number}]", id_tag) for number, id_tag in enumerate(attrs["delete"])]
        if len(tags) > AT_ONCE:
            raise serializers.ValidationError({"upsert": [f"At most {AT_ONCE} id tags at once, both lists together."]})
        named = Counter(id_tag.upper() for _, id_tag in tags)
        twice = {path: ["This id tag comes twice."] for path, id_tag in tags if named[id_tag.upper()] > 1}
        if twice:
            raise serializers.ValidationError(twice)
        return attrs


class ResultSerializer(serializers.Serializer[Any]):
    id_tag = serializers.CharField()
    result = serializers.ChoiceField(["created", "updated", "deleted", "not_found"])


class ResultsSerializer(serializers.Serializer[Any]):
    """What became of each id tag, in the order of the request."""

    results = ResultSerializer(many=True)
    total = serializers.IntegerField()


class IdTagFilters(django_filters.FilterSet):
    status = OneOf(IdTag.Status.values)
    parent_id_tag = Text(help_text="Of this group only.")
    starts_with = Text(
        field_name="id_tag", lookup_expr="istartswith", help_text="What the tag begins with, in any case."
    )


@extend_schema_view(
    get=extend_schema(
        operation_id="list_id_tags",
        summary="List id tags",
        tags=TAGS,
        responses=IdTagSerializer,
        examples=[examples.ID_TAG],
    ),
    post=extend_schema(
        operation_id="create_id_tag",
        summary="List an id tag",
        tags=TAGS,
        request=NewIdTagSerializer,
        responses={201: IdTagSerializer},
        examples=[examples.NEW_ID_TAG, examples.ID_TAG],
    ),
)
class IdTagsView(WholeOrganizationView[IdTag], ListView[IdTag]):
    http_method_names = ["get", "head", "post"]
    queryset = IdTag.objects.order_by(Upper("id_tag"), "pk")
    filterset_class = IdTagFilters
    list_name = "id_tags"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        return NewIdTagSerializer if self.request.method == "POST" else IdTagSerializer

    def post(self, request: Any) -> Response:
        values = self.given().validated_data
        try:
            with transaction.atomic():
                id_tag = IdTag.objects.create(organization=request.auth.organization, **values)
        except IntegrityError:
            raise Conflict("id_tag", TAKEN) from None
        return Response(IdTagSerializer(id_tag).data, status=201)


@extend_schema_view(
    get=extend_schema(
        operation_id="get_id_tag",
        summary="Read an id tag",
        tags=TAGS,
        responses=IdTagSerializer,
        examples=[examples.ID_TAG],
    ),
    patch=extend_schema(
        operation_id="update_id_tag",
        summary="Change an id tag",
        tags=TAGS,
        request=IdTagChangesSerializer,
        responses=IdTagSerializer,
        examples=[examples.BLOCKED, examples.ID_TAG],
    ),
    delete=extend_schema(
        operation_id="delete_id_tag", summary="Take an id tag off the list", description=NOT_LISTED, tags=TAGS
    ),
)
class IdTagView(WholeOrganizationView[IdTag]):
    http_method_names = ["get", "head", "patch", "delete"]
    queryset = IdTag.objects.all()
    serializer_class = IdTagChangesSerializer

    def get(self, request: Request, id_tag: str) -> Response:
        return Response(IdTagSerializer(self.listed(id_tag)).data)

    def patch(self, request: Request, id_tag: str) -> Response:
        changes = self.given(partial=True).validated_data
        IdTag.objects.filter(pk=self.listed(id_tag).pk).update(**changes)
        return Response(IdTagSerializer(self.listed(id_tag)).data)

    def delete(self, request: Request, id_tag: str) -> Response:
        self.listed(id_tag).delete()
        return Response(status=204)

    def listed(self, id_tag: str) -> IdTag:
        """The id tag in whatever case, or 404."""
        found = named(self.get_queryset(), [id_tag]).first() if "\x00" not in id_tag else None
        if found is None:
            raise NotFound("There is no such id tag in your organization.")
        return found


@extend_schema_view(
    post=extend_schema(
        operation_id="change_id_tags",
        summary="List, change and take off many id tags at once",
        description=f"At most {AT_ONCE}, all or none: where one cannot be stored as it is written, none is touched, "
        "and 400 names each by its place. To take off what is not listed is no error.",
        tags=TAGS,
        request=BulkSerializer,
        responses=ResultsSerializer,
        examples=[examples.BULK, examples.BULK_RESULTS],
    )
)
class IdTagsBulkView(WholeOrganizationView[IdTag]):
    http_method_names = ["post"]
    queryset = IdTag.objects.all()
    serializer_class = BulkSerializer

    def post(self, request: Any) -> Response:
        asked = self.given().validated_data
        try:
            results = IdTag.objects.change(request.auth.organization, asked["upsert"], asked["delete"])
        except IntegrityError:
            raise Conflict(
                "upsert", "Somebody else has listed one of these id tags meanwhile; send it again."
            ) from None
        told = [{"id_tag": id_tag, "result": result} for id_tag, result in results]
        return Response({"results": told, "total": len(told)})
