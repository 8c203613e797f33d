from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apikeys.admin import once
from apikeys.admin.asking import ask
from apikeys.admin.tenancy import ReadOnlyAdmin, only_organization, visible
from apikeys.models import Organization
from chargepoints.credentials import generate_password
from chargepoints.identities import validate_identity
from chargepoints.models import ChargePoint
from ocpp16.models import RefusedConnection

CHANGELIST = "admin:ocpp16_refusedconnection_changelist"


class AdoptForm(forms.Form):
    organization = forms.ModelChoiceField(Organization.objects.none())
    description = forms.CharField(required=False, max_length=200)
    password = forms.ChoiceField(
        choices=[
            ("generated", "Generate one and require it"),
            ("none", "None: anybody may connect under this identity"),
        ],
    )
    assume_ocpp16 = forms.BooleanField(
        label="Assume ocpp1.6", required=False, help_text="For hardware that offers no WebSocket subprotocol."
    )

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        organizations: forms.ModelChoiceField = self.fields["organization"]  # type: ignore[assignment]
        organizations.queryset = visible(Organization.objects.all(), user)

    def adopt(self, identity: str) -> tuple[ChargePoint, str | None]:
        """Provision the charge point and drop its refusals; returns it and its password."""
        values = self.cleaned_data
        password = generate_password() if values["password"] == "generated" else None  # noqa: S105  a choice's name
        fields = {"description": values["description"], "assume_ocpp16": values["assume_ocpp16"]}
        with transaction.atomic():
            charge_point = ChargePoint.objects.provision(values["organization"], identity, password, **fields)
            RefusedConnection.objects.filter(identity=identity).delete()
        return charge_point, password


def proposal(user: Any, refused: Any) -> dict[str, Any]:
    """What the form of an adoption starts with."""
    return {**only_organization(user), "assume_ocpp16": "ocpp1.6" not in refused.protocols.lower()}


@admin.register(RefusedConnection)
class RefusedConnectionAdmin(ReadOnlyAdmin):
    list_display = ["named", "reason", "adopt", "address", "count", "last_at", "protocols"]
    list_filter = ["reason", "last_at"]
    search_fields = ["identity", "address"]
    search_help_text = "Identity or address"
    fields = ["identity", "reason", "address", "path", "protocols", "count", "first_at", "last_at", "adopt"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        known = ChargePoint.objects.filter(identity=OuterRef("identity"))
        return super().get_queryset(request).annotate(is_known=Exists(known))

    def get_list_display(self, request: HttpRequest) -> Any:
        return [name for name in self.list_display if name != "adopt" or self._may_adopt(request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [name for name in self.fields if name != "adopt" or self._may_adopt(request)]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.adopt_view)
        return [path("<int:object_id>/adopt/", view, name="ocpp16_refusedconnection_adopt"), *super().get_urls()]

    @admin.display(description="identity", ordering="identity")
    def named(self, refused: Any) -> str:
        return refused.identity or refused.path or "(others)"

    @admin.display(description="unknown charge point")
    def adopt(self, refused: Any) -> SafeString | str:
        if not self._is_adoptable(refused):
            return "-"
        url = reverse("admin:ocpp16_refusedconnection_adopt", args=[refused.pk])
        return format_html('<a href="{}">Adopt this charge point</a>', url)

    def adopt_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        if request.method == "POST" and once.is_repeated(request):
            return once.refuse_repeat(request, reverse(CHANGELIST))
        refused = self.get_object(request, str(object_id))
        if refused is None:
            raise Http404
        if not self._may_adopt(request):
            raise PermissionDenied
        if not self._is_adoptable(refused):
            messages.error(request, f"{refused.identity or 'This'} cannot be adopted: it is known or no identity.")
            return HttpResponseRedirect(reverse(CHANGELIST))
        form = AdoptForm(request.user, request.POST or None, initial=proposal(request.user, refused))
        if not form.is_valid():
            return self._ask(request, refused, form)
        return self._adopt(request, refused, form)

    def _adopt(self, request: HttpRequest, refused: Any, form: AdoptForm) -> HttpResponse:
        try:
            charge_point, password = form.adopt(refused.identity)
        except ValidationError as error:
            form.add_error(None, error.messages)  # type: ignore[arg-type]
            return self._ask(request, refused, form)
        charge_points: Any = self.admin_site.get_model_admin(ChargePoint)
        charge_points.log_addition(request, charge_point, "Adopted after a refused connection.")
        if password is not None:
            return charge_points.show_password(request, charge_point, password)
        messages.success(request, f"{charge_point} is adopted and may connect without a password.")
        return HttpResponseRedirect(charge_points.page_of(charge_point))

    def _ask(self, request: HttpRequest, refused: Any, form: AdoptForm) -> HttpResponse:
        explanation = f"Refused {refused.count} times, last from {refused.address}: {refused.reason}."
        title, mark = f"Adopt {refused.identity}", once.new_mark()
        return ask(request, refused, title=title, submit="Adopt", form=form, explanation=explanation, mark=mark)

    def _may_adopt(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chargepoints.add_chargepoint")

    def _is_adoptable(self, refused: Any) -> bool:
        """Whether the identity is unknown and could be a charge point's."""
        try:
            validate_identity(refused.identity)
        except ValidationError:
            return False
        return not refused.is_known
