"""Staff see and touch the organizations they belong to: in every admin, on every page."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from apikeys.admin.tenancy import OrganizationFilter, visible
from apikeys.models import ApiKey, Membership, Organization
from chargepoints.models import ChargePoint, IdTag, Transaction, WebhookDelivery, WebhookEndpoint
from ocpp16.admin.forms import FORMS
from ocpp16.models import Command, RefusedConnection
from tests.databases import made_once
from tests.world import fill, staff, superuser

REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
OF_TENANTS = [model for model in REGISTERED if model not in (User, Group, AccessAttempt)]
OBJECT_VIEWS = ["change", "delete", "history"]
OWN_VIEWS = [
    (ApiKey, "revoke"),
    (ApiKey, "rotate"),
    (ChargePoint, "password"),
    (RefusedConnection, "adopt"),
    *((WebhookEndpoint, view) for view in ("pause", "resume", "test", "resend", "rotate")),
    (WebhookDelivery, "resend"),
]
label = lambda value: value._meta.model_name if isinstance(value, type) else str(value)  # noqa: E731  pytest's ids


def url(model: Any, view: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


filled = made_once(lambda: {mark: fill(mark) for mark in ("ALPHA", "BETA")})


@pytest.fixture
def alpha(db: None, filled: Callable[[], Any]) -> dict[type, Any]:
    return filled()["ALPHA"]


@pytest.fixture
def beta(db: None, filled: Callable[[], Any]) -> dict[type, Any]:
    return filled()["BETA"]


@pytest.fixture
def client_of_beta(beta: dict[type, Any], client: Client) -> Client:
    """Logged in as staff of BETA who carries every permission there is."""
    client.force_login(staff(beta[Organization]))
    return client


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_lists_nothing_of_another_organization(model: Any, alpha: Any, client_of_beta: Client) -> None:
    response = client_of_beta.get(url(model, "changelist"))
    assert response.status_code == (200 if model in OF_TENANTS else 403)
    assert b"ALPHA" not in response.content


@pytest.mark.parametrize("model", OF_TENANTS, ids=label)
def test_lists_what_is_their_own(model: Any, alpha: Any, client_of_beta: Client) -> None:
    assert b"BETA" in client_of_beta.get(url(model, "changelist")).content


@pytest.mark.parametrize("model", REGISTERED, ids=label)
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("view", OBJECT_VIEWS)
def test_opens_no_page_of_another_organizations_row(
    model: Any, method: str, view: str, alpha: Any, client_of_beta: Client
) -> None:
    response = getattr(client_of_beta, method)(url(model, view, alpha[model].pk), {"post": "yes"})
    assert response.status_code in (302, 403, 404)
    assert response.headers.get("Location", "/admin/") == "/admin/"
    assert b"ALPHA" not in response.content
    assert model._default_manager.filter(pk=alpha[model].pk).exists()


@pytest.mark.parametrize(("model", "view"), OWN_VIEWS, ids=label)
@pytest.mark.parametrize("method", ["get", "post"])
def test_serves_no_view_of_ours_for_another_organizations_row(
    model: Any, view: str, method: str, alpha: Any, client_of_beta: Client
) -> None:
    before = model._default_manager.filter(pk=alpha[model].pk).values().get()
    response = getattr(client_of_beta, method)(url(model, view, alpha[model].pk), {"once": f"{view}-{method}"})
    assert response.status_code == 404
    assert b"ALPHA" not in response.content
    assert model._default_manager.filter(pk=alpha[model].pk).values().get() == before


@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("method", ["get", "post"])
def test_sends_no_command_to_another_organizations_charge_point(
    kind: str, method: str, alpha: Any, client_of_beta: Client
) -> None:
    fields = {"type": "Soft", "connectorId": "1", "idTag": "X", "requestedMessage": "Heartbeat"}
    fields["transactionId"] = alpha[Transaction].pk
    target = reverse("admin:ocpp16_command_send", args=[alpha[ChargePoint].pk, kind])
    assert getattr(client_of_beta, method)(target, fields).status_code == 404
    assert Command.objects.filter(charge_point=alpha[ChargePoint]).count() == 1


@pytest.mark.parametrize("model", [ApiKey, ChargePoint, IdTag], ids=label)
def test_offers_no_other_organization_in_a_form(model: Any, alpha: Any, client_of_beta: Client) -> None:
    response = client_of_beta.get(url(model, "add"))
    assert b"BETA Energy" in response.content
    assert b"ALPHA" not in response.content


@pytest.mark.parametrize("model", [ApiKey, ChargePoint, IdTag], ids=label)
def test_accepts_no_other_organization_in_a_form(model: Any, alpha: Any, client_of_beta: Client) -> None:
    count = model.objects.count()
    fields = {"organization": alpha[Organization].pk, "name": "x", "identity": "x", "id_tag": "x", "status": "Accepted"}
    fields |= {"scopes": "read:billing", "security_profile": 1, "once": model.__name__}
    response = client_of_beta.post(url(model, "add"), fields)
    assert "organization" in response.context["adminform"].form.errors
    assert b"ALPHA" not in response.content
    assert model.objects.count() == count


@pytest.mark.parametrize("model", OF_TENANTS, ids=label)
@pytest.mark.parametrize("name", ["charge_point", "organization", "transaction"])
def test_names_nobody_elses_rows_in_filters(model: Any, name: str, alpha: Any, client_of_beta: Client) -> None:
    row = {"charge_point": ChargePoint, "organization": Organization, "transaction": Transaction}[name]
    response = client_of_beta.get(url(model, "changelist"), {name: alpha[row].pk}, follow=True)
    assert response.status_code == 200
    assert b"ALPHA" not in response.content


@pytest.mark.parametrize(("field", "status"), [("organization", 200), ("user", 403)])
def test_completes_no_name_of_another_organization(field: str, status: int, alpha: Any, client_of_beta: Client) -> None:
    query = {"app_label": "apikeys", "model_name": "membership", "field_name": field, "term": ""}
    response = client_of_beta.get(reverse("admin:autocomplete"), query)
    assert response.status_code == status
    assert b"ALPHA" not in response.content


@pytest.mark.parametrize("model", [ChargePoint, IdTag], ids=label)
def test_deletes_nothing_of_another_organization_in_bulk(model: Any, alpha: Any, client_of_beta: Client) -> None:
    fields = {"action": "delete_selected", "_selected_action": alpha[model].pk, "post": "yes"}
    response = client_of_beta.post(url(model, "changelist"), fields, follow=True)
    assert b"ALPHA" not in response.content
    assert model.objects.filter(pk=alpha[model].pk).exists()


def test_shows_staff_of_no_organization_nothing(alpha: Any, client: Client) -> None:
    client.force_login(staff())
    for model in OF_TENANTS:
        assert b"ALPHA" not in client.get(url(model, "changelist")).content


def test_shows_nothing_of_an_organization_that_was_left(alpha: Any, client: Client) -> None:
    user = staff(alpha[Organization])
    client.force_login(user)
    assert b"ALPHA" in client.get(url(ChargePoint, "changelist")).content
    Membership.objects.filter(user=user).delete()
    assert b"ALPHA" not in client.get(url(ChargePoint, "changelist")).content


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_shows_a_superuser_everything(model: Any, alpha: Any, beta: Any, client: Client) -> None:
    client.force_login(superuser())
    content = client.get(url(model, "changelist")).content
    assert b"ALPHA" in content
    assert b"BETA" in content


@pytest.mark.parametrize("model", REGISTERED, ids=label)
def test_sends_visitors_to_the_login_page(model: Any, alpha: Any, client: Client) -> None:
    for page in (url(model, "changelist"), url(model, "change", alpha[model].pk)):
        response = client.get(page)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/admin/login/")


def test_shows_nothing_of_rows_without_a_tenancy(alpha: Any, beta: Any) -> None:
    assert not visible(User.objects.all(), staff(beta[Organization])).exists()


@pytest.mark.parametrize("model", OF_TENANTS, ids=label)
def test_filters_by_no_relation_that_would_list_every_organization(model: Any) -> None:
    for name in admin.site._registry[model].list_filter:
        if isinstance(name, type):
            assert issubclass(name, admin.SimpleListFilter)
        elif isinstance(name, str):
            assert not model._meta.get_field(name).is_relation
    assert OrganizationFilter.title == "organization"


@pytest.mark.parametrize(("model", "field"), [(ApiKey, "digest"), (ChargePoint, "password_digest")], ids=label)
def test_tells_no_digest_letter_by_letter(model: Any, field: str, beta: Any, client_of_beta: Client) -> None:
    query = {f"{field}__startswith": getattr(beta[model], field)[:1]}
    assert client_of_beta.get(url(model, "changelist"), query).status_code == 400


def test_gives_the_operations_group_what_daily_work_needs(beta: Any, client: Client) -> None:
    user = staff(beta[Organization], permissions=[])
    user.groups.add(operations())
    client.force_login(user)
    for model in OF_TENANTS:
        assert client.get(url(model, "changelist")).status_code == 200
    for model in (ApiKey, ChargePoint, IdTag, WebhookEndpoint):
        assert client.get(url(model, "add")).status_code == 200
    assert client.get(url(ChargePoint, "change", beta[ChargePoint].pk)).context["has_change_permission"]


def operations() -> Group:
    """The group as the migration makes it; a test that empties the database takes it away."""
    migration = import_module("dynamo.migrations.0001_operations")
    migration.create(apps, connection.schema_editor())
    for later in ("0002_operations_bulk_commands", "0003_operations_webhooks"):
        import_module(f"dynamo.migrations.{later}").allow(apps, connection.schema_editor())
    return Group.objects.get(name="Operations")


def test_lets_staff_make_nobody_a_superuser(beta: Any, client_of_beta: Client) -> None:
    for model in (User, Group):
        for view in ("changelist", "add"):
            assert client_of_beta.get(url(model, view)).status_code == 403


def test_lets_staff_neither_make_nor_end_nor_join_an_organization(beta: Any, client_of_beta: Client) -> None:
    own = beta[Organization]
    assert client_of_beta.get(url(Organization, "add")).status_code == 403
    assert client_of_beta.post(url(Organization, "delete", own.pk), {"post": "yes"}).status_code == 403
    page = url(Organization, "change", own.pk)
    client_of_beta.post(page, {"name": "Mine", "accept_unknown_id_tags": "on", "heartbeat_interval": 60})
    own.refresh_from_db()
    assert (own.name, own.is_active, own.heartbeat_interval) == ("BETA Energy", True, 60)
    assert b"memberships" not in client_of_beta.get(page).content
