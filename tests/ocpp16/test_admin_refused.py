"""Refused connections in the admin, and the adoption of unknown charge points."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from chargepoints.models import ChargePoint
from ocpp16.models import RefusedConnection
from tests.world import staff, superuser

LIST = "/admin/ocpp16/refusedconnection/"
PASSWORD = re.compile(r'<output id="secret">([^<]+)</output>')


def refuse(identity: str = "NEW CP", reason: str = "unknown identity", **fields: Any) -> RefusedConnection:
    given = {"address": "10.0.0.1", "protocols": "ocpp1.6", "path": "/ocpp16/x", "count": 3, **fields}
    return RefusedConnection.objects.create(identity=identity, reason=reason, **given)


def adoption(refused: RefusedConnection) -> str:
    return reverse("admin:ocpp16_refusedconnection_adopt", args=[refused.pk])


def fields(organization: Any, **changes: Any) -> dict[str, Any]:
    return {"organization": organization.pk, "password": "generated", "once": "mark-1", **changes}


@pytest.fixture
def as_superuser(db: None, client: Client) -> Client:
    client.force_login(superuser())
    return client


def test_tells_why_a_connection_was_refused(as_superuser: Client) -> None:
    refuse(reason="wrong password")
    text = as_superuser.get(LIST).content.decode()
    assert "wrong password" in text
    assert "10.0.0.1" in text


def test_adopts_an_unknown_charge_point(as_superuser: Client, organization: Any) -> None:
    refused = refuse()
    refuse(address="10.0.0.2")
    assert adoption(refused) in as_superuser.get(LIST).content.decode()
    response = as_superuser.post(adoption(refused), fields(organization, description="Gate"))
    (password,) = PASSWORD.findall(response.content.decode())
    charge_point = ChargePoint.objects.get(identity="NEW CP")
    assert charge_point.organization == organization
    assert charge_point.check_password(password.encode())
    assert not RefusedConnection.objects.filter(identity="NEW CP").exists()
    again = as_superuser.post(adoption(refused), fields(organization), follow=True)
    assert password not in again.content.decode()


def test_adopts_without_a_password(as_superuser: Client, organization: Any) -> None:
    response = as_superuser.post(adoption(refuse()), fields(organization, password="none", assume_ocpp16="on"))
    charge_point = ChargePoint.objects.get(identity="NEW CP")
    assert response.headers["Location"] == reverse("admin:chargepoints_chargepoint_change", args=[charge_point.pk])
    assert (charge_point.security_profile, charge_point.assume_ocpp16) == (0, True)


@pytest.mark.parametrize(("protocols", "assumed"), [("ocpp1.6", False), ("", True)])
def test_proposes_to_assume_what_was_not_offered(protocols: str, assumed: bool, as_superuser: Client) -> None:
    form = as_superuser.get(adoption(refuse(protocols=protocols))).context["form"]
    assert form["assume_ocpp16"].value() is assumed


@pytest.mark.parametrize("identity", ["", "x" * 60, "KNOWN"])
def test_adopts_no_known_and_no_impossible_identity(
    identity: str, as_superuser: Client, organization: Any, make_charge_point: Any
) -> None:
    make_charge_point("KNOWN")
    refused = refuse(identity)
    assert adoption(refused) not in as_superuser.get(LIST).content.decode()
    response = as_superuser.post(adoption(refused), fields(organization), follow=True)
    assert "cannot be adopted" in response.content.decode()
    assert ChargePoint.objects.count() == 1


def test_changes_nothing_when_only_looked_at(as_superuser: Client) -> None:
    refused = refuse()
    assert as_superuser.get(adoption(refused)).status_code == 200
    assert RefusedConnection.objects.exists()
    assert not ChargePoint.objects.exists()


def test_shows_staff_the_refusals_of_their_own_charge_points(
    client: Client, organization: Any, other_organization: Any, make_charge_point: Any
) -> None:
    make_charge_point("MINE")
    make_charge_point("THEIRS", owner=other_organization)
    own = refuse("MINE", "wrong password")
    foreign = [refuse("THEIRS", "wrong password"), refuse("UNKNOWN")]
    client.force_login(staff(organization))
    assert list(client.get(LIST).context["cl"].result_list) == [own]
    for refused in foreign:
        assert client.post(adoption(refused), fields(organization)).status_code == 404


def test_adopts_only_for_who_may_add_charge_points(client: Client, organization: Any, make_charge_point: Any) -> None:
    make_charge_point("MINE")
    refused = refuse("MINE", "wrong password")
    client.force_login(staff(organization, permissions=Permission.objects.filter(codename="view_refusedconnection")))
    assert client.get(LIST).status_code == 200
    assert client.post(adoption(refused), fields(organization)).status_code == 403
