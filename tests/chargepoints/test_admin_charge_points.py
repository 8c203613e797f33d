"""Charge points in the admin: passwords shown once, filters, search, and what must not be deleted."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chargepoints.models import ChargePoint, Transaction
from tests.world import HOSTILE, fill, staff, superuser

from .lists import report

ADD = "/admin/chargepoints/chargepoint/add/"
LIST = "/admin/chargepoints/chargepoint/"
PASSWORD = re.compile(r'<output id="secret">([^<]+)</output>')


@pytest.fixture
def as_staff(organization: Any, client: Client) -> Client:
    client.force_login(staff(organization))
    return client


def fields(organization: Any, **changes: Any) -> dict[str, Any]:
    given = {"organization": organization.pk, "identity": "NEW 1", "security_profile": 1, "once": "mark-1"}
    return {**given, **changes}


def page(charge_point: ChargePoint, view: str = "change") -> str:
    return reverse(f"admin:chargepoints_chargepoint_{view}", args=[charge_point.pk])


def listed(client: Client, **query: str) -> set[str]:
    return {row.identity for row in client.get(LIST, query).context["cl"].result_list}


def test_shows_the_password_of_a_new_charge_point_once(as_staff: Client, organization: Any) -> None:
    response = as_staff.post(ADD, fields(organization, assume_ocpp16="on", description="Gate"))
    (password,) = PASSWORD.findall(response.content.decode())
    charge_point = ChargePoint.objects.get(identity="NEW 1")
    assert charge_point.check_password(password.encode())
    assert (charge_point.assume_ocpp16, charge_point.description) == (True, "Gate")
    assert "ws://testserver/ocpp16/NEW%201" in response.content.decode()
    again = as_staff.post(ADD, fields(organization), follow=True)
    assert password not in again.content.decode()
    assert password not in as_staff.get(page(charge_point)).content.decode()


@pytest.mark.parametrize("profile", [0, 3])
def test_adds_a_charge_point_without_a_password(profile: int, as_staff: Client, organization: Any) -> None:
    response = as_staff.post(ADD, fields(organization, security_profile=profile), follow=True)
    assert not PASSWORD.findall(response.content.decode())
    charge_point = ChargePoint.objects.get(identity="NEW 1")
    assert (charge_point.security_profile, charge_point.password_digest) == (profile, "")


@pytest.mark.parametrize("identity", ["", "a/b", "a:b", "x" * 49, "TAKEN"])
def test_refuses_a_bad_identity(identity: str, as_staff: Client, organization: Any, make_charge_point: Any) -> None:
    make_charge_point("TAKEN")
    response = as_staff.post(ADD, fields(organization, identity=identity))
    assert "identity" in response.context["adminform"].form.errors
    assert ChargePoint.objects.count() == 1


def test_generates_a_new_password(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point(password="old-old-old")
    response = as_staff.post(page(charge_point, "password"), {"once": "mark-2", "password": ""})
    (password,) = PASSWORD.findall(response.content.decode())
    charge_point.refresh_from_db()
    assert charge_point.check_password(password.encode())
    assert not charge_point.check_password(b"old-old-old")
    as_staff.post(page(charge_point, "password"), {"once": "mark-2", "password": ""})
    charge_point.refresh_from_db()
    assert charge_point.check_password(password.encode())


def test_sets_a_given_password_and_requires_it(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    as_staff.post(page(charge_point, "password"), {"once": "mark-3", "password": "typed by hand"})
    charge_point.refresh_from_db()
    assert charge_point.check_password(b"typed by hand")
    assert charge_point.security_profile == 1


def test_asks_for_a_longer_password(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    response = as_staff.post(page(charge_point, "password"), {"once": "mark-4", "password": "short"})
    assert response.context["form"].errors
    charge_point.refresh_from_db()
    assert charge_point.password_digest == ""


def test_requires_no_password_that_was_never_set(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    response = as_staff.post(page(charge_point), {"security_profile": 1, "registration_status": "Accepted"})
    assert "security_profile" in response.context["adminform"].form.errors
    response = as_staff.post(page(charge_point), {"security_profile": 3, "registration_status": "Accepted"})
    assert "security_profile" not in response.context["adminform"].form.errors


def test_leaves_alone_what_the_socket_writes(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    form = {"security_profile": 0, "registration_status": "Pending", "send_pings": "on", "description": "Roof"}
    formsets = {
        f"{name}-{number}": 0 for name in ("connectors", "findings") for number in ("TOTAL_FORMS", "INITIAL_FORMS")
    }
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert as_staff.post(page(charge_point), {**form, **formsets}).status_code == 302
    (update,) = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "chargepoints_chargepoint"')]
    assert "channel_name" not in update
    assert "online_until" not in update
    charge_point.refresh_from_db()
    assert (charge_point.description, charge_point.registration_status) == ("Roof", "Pending")


def test_deletes_a_charge_point_without_sessions(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    report(charge_point, (1, "Available"))
    assert as_staff.get(page(charge_point, "delete")).status_code == 200
    as_staff.post(page(charge_point, "delete"), {"post": "yes"})
    assert not ChargePoint.objects.filter(pk=charge_point.pk).exists()


@pytest.mark.parametrize("way", ["page", "bulk"])
def test_deletes_no_charge_point_that_has_sessions(way: str, client: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    started = {"meter_start": 0, "started_at": timezone.now(), "authorization_status": "Accepted"}
    Transaction.objects.start(charge_point, connector_id=1, id_tag="TAG", **started)
    client.force_login(superuser())
    bulk = {"action": "delete_selected", "_selected_action": charge_point.pk, "post": "yes"}
    client.post(*((page(charge_point, "delete"), {"post": "yes"}) if way == "page" else (LIST, bulk)))
    assert Transaction.objects.exists()
    assert b"cannot be deleted" in client.get(page(charge_point)).content


def test_filters_by_connection_status_and_vendor(as_staff: Client, make_charge_point: Any) -> None:
    online, faulted = make_charge_point("ON", vendor="Alfen"), make_charge_point("BAD", vendor="Keba")
    online.connect("channel", "127.0.0.1")
    report(faulted, (2, "Faulted"))
    assert listed(as_staff) == {"ON", "BAD"}
    assert listed(as_staff, connection="online") == {"ON"}
    assert listed(as_staff, connection="offline") == {"BAD"}
    assert listed(as_staff, status="Faulted") == {"BAD"}
    assert listed(as_staff, vendor="Alfen") == {"ON"}


def test_filters_by_organization(client: Client, make_charge_point: Any, other_organization: Any) -> None:
    make_charge_point("MINE")
    make_charge_point("THEIRS", owner=other_organization)
    client.force_login(superuser())
    assert listed(client, organization=str(other_organization.pk)) == {"THEIRS"}


@pytest.mark.parametrize("text", ["find-me", "Vestel", "EVC04", "SN-778", "BOX-9"])
def test_finds_by_what_is_printed_on_the_hardware(text: str, as_staff: Client, make_charge_point: Any) -> None:
    hardware = {"vendor": "Vestel", "model": "EVC04", "serial_number": "SN-778", "charge_box_serial_number": "BOX-9"}
    make_charge_point("FIND-ME", **hardware)
    make_charge_point("OTHER")
    assert listed(as_staff, q=text) == {"FIND-ME"}


def test_says_each_status_in_words(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    report(charge_point, (3, "SuspendedEV"))
    text = as_staff.get(LIST).content.decode()
    assert '<span class="chip chip-warn">3: SuspendedEV</span>' in text
    assert '<span class="chip chip-quiet">offline</span>' in text


def test_offers_no_buttons_to_who_may_only_look(client: Client, organization: Any, make_charge_point: Any) -> None:
    charge_point = make_charge_point()
    client.force_login(staff(organization, permissions=Permission.objects.filter(codename="view_chargepoint")))
    text = client.get(page(charge_point)).content.decode()
    assert charge_point.identity in text
    assert "remote-start" not in text
    assert client.post(page(charge_point, "password"), {"once": "mark-5"}).status_code == 403


def test_escapes_what_a_charge_point_sent(client: Client, db: None) -> None:
    rows = fill("ALPHA")
    client.force_login(superuser())
    for model, row in rows.items():
        names = (model._meta.app_label, model._meta.model_name)
        for url in (
            reverse("admin:{}_{}_changelist".format(*names)),
            reverse("admin:{}_{}_change".format(*names), args=[row.pk]),
        ):
            assert HOSTILE not in client.get(url).content.decode()


def test_makes_a_simulated_charge_point_which_stays_one(as_staff: Client, organization: Any) -> None:
    as_staff.post(ADD, fields(organization, is_simulated="on"))
    charge_point = ChargePoint.objects.get()
    assert charge_point.is_simulated
    settings = {"description": "Desk", "security_profile": 1, "registration_status": "Accepted"}
    formsets = {f"{name}-{count}_FORMS": 0 for name in ("connectors", "findings") for count in ("TOTAL", "INITIAL")}
    assert as_staff.post(page(charge_point), {**settings, **formsets}).status_code == 302
    charge_point.refresh_from_db()
    assert (charge_point.description, charge_point.is_simulated) == ("Desk", True)
    assert (listed(as_staff, is_simulated__exact="1"), listed(as_staff, is_simulated__exact="0")) == ({"NEW 1"}, set())


def test_deletes_a_simulated_charge_point_with_its_sessions(as_staff: Client, make_charge_point: Any) -> None:
    charge_point = make_charge_point(is_simulated=True)
    session = {"connector_id": 1, "id_tag": "TAG", "meter_start": 0, "authorization_status": "Accepted"}
    Transaction.objects.start(charge_point, started_at=timezone.now(), **session)
    as_staff.post(page(charge_point, "delete"), {"post": "yes"})
    assert not ChargePoint.objects.exists()
