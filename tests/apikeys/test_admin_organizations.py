"""Organizations, memberships and users in the admin of a superuser."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apikeys.models import Membership, Organization
from tests.world import staff, superuser

ADD = "/admin/apikeys/organization/add/"
ADD_USER = "/admin/auth/user/add/"
NO_MEMBERS = {f"memberships-{number}": 0 for number in ("TOTAL_FORMS", "INITIAL_FORMS")}


@pytest.fixture
def as_superuser(db: None, client: Client) -> Client:
    client.force_login(superuser())
    return client


def fields(name: str, *members: User) -> dict[str, Any]:
    given = {"name": name, "is_active": "on", "heartbeat_interval": 300, **NO_MEMBERS}
    given["memberships-TOTAL_FORMS"] = len(members)
    return {**given, **{f"memberships-{number}-user": user.pk for number, user in enumerate(members)}}


def page(organization: Organization, view: str = "change") -> str:
    return reverse(f"admin:apikeys_organization_{view}", args=[organization.pk])


def test_adds_an_organization_with_its_members(as_superuser: Client) -> None:
    user = staff()
    as_superuser.post(ADD, fields("Northwind", user))
    organization = Organization.objects.get(name="Northwind")
    assert [membership.user for membership in organization.memberships.all()] == [user]


def test_refuses_a_second_organization_of_the_same_name(as_superuser: Client) -> None:
    as_superuser.post(ADD, fields("Northwind"))
    response = as_superuser.post(ADD, fields("NORTHWIND"))
    assert "exists already" in response.content.decode()
    assert Organization.objects.count() == 1


def test_refuses_a_second_membership_of_the_same_user(as_superuser: Client) -> None:
    user, organization = staff(), Organization.objects.create(name="Northwind")
    stored = Membership.objects.create(user=user, organization=organization)
    given = {**fields("Northwind", user, user), "memberships-INITIAL_FORMS": 1, "memberships-0-id": stored.pk}
    response = as_superuser.post(page(organization), {**given, "memberships-0-organization": organization.pk})
    assert response.status_code == 200
    assert response.context["errors"]
    assert list(Membership.objects.all()) == [stored]


def test_deletes_an_organization_without_charge_points_only(as_superuser: Client, make_charge_point: Any) -> None:
    used, empty = make_charge_point().organization, Organization.objects.create(name="Empty")
    for organization in (used, empty):
        as_superuser.post(page(organization, "delete"), {"post": "yes"})
    both = {"action": "delete_selected", "_selected_action": [used.pk], "post": "yes"}
    as_superuser.post("/admin/apikeys/organization/", both)
    assert list(Organization.objects.all()) == [used]


def test_adds_a_user(as_superuser: Client) -> None:
    given = {"username": "ops", "usable_password": "true"}
    as_superuser.post(ADD_USER, {**given, "password1": "correct horse 9", "password2": "correct horse 9"})
    user = User.objects.get(username="ops")
    assert user.check_password("correct horse 9")
    assert not user.is_staff
    assert as_superuser.get(reverse("admin:auth_user_change", args=[user.pk])).status_code == 200
