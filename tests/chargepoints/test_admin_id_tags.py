"""Id tags in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from chargepoints.models import IdTag
from tests.world import staff

ADD = "/admin/chargepoints/idtag/add/"


@pytest.fixture
def as_staff(organization: Any, client: Client) -> Client:
    client.force_login(staff(organization))
    return client


def fields(organization: Any, id_tag: str = "CARD-1", **more: str) -> dict[str, Any]:
    return {"organization": organization.pk, "id_tag": id_tag, "status": "Accepted", **more}


def test_adds_an_id_tag(as_staff: Client, organization: Any) -> None:
    as_staff.post(ADD, fields(organization, parent_id_tag="GROUP"))
    (listed,) = IdTag.objects.listed([(organization.pk, "card-1")])
    assert listed.parent_id_tag == "GROUP"


@pytest.mark.parametrize("id_tag", ["card-1", "", "x" * 21])
def test_refuses_a_known_or_impossible_id_tag(id_tag: str, as_staff: Client, organization: Any) -> None:
    as_staff.post(ADD, fields(organization))
    response = as_staff.post(ADD, fields(organization, id_tag))
    assert response.status_code == 200
    assert response.context["errors"]
    assert IdTag.objects.count() == 1


def test_blocks_an_id_tag_and_keeps_its_number(as_staff: Client, organization: Any) -> None:
    row = IdTag.objects.create(organization=organization, id_tag="CARD-1")
    page = reverse("admin:chargepoints_idtag_change", args=[row.pk])
    as_staff.post(page, {"id_tag": "OTHER", "status": "Blocked"})
    row.refresh_from_db()
    assert (row.id_tag, row.status) == ("CARD-1", "Blocked")
    assert '<span class="chip chip-bad">Blocked</span>' in as_staff.get("/admin/chargepoints/idtag/").content.decode()


def test_deletes_an_id_tag(as_staff: Client, organization: Any) -> None:
    row = IdTag.objects.create(organization=organization, id_tag="CARD-1")
    as_staff.post(reverse("admin:chargepoints_idtag_delete", args=[row.pk]), {"post": "yes"})
    assert not IdTag.objects.exists()
