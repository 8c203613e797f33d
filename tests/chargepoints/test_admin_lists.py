"""The admin's lists and pages, whatever the size of the tables."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apikeys.admin.paginator import CappedPaginator
from apikeys.models import ApiKey
from chargepoints.admin.readings import table
from chargepoints.models import ChargePoint, MeterValue, Notification, Transaction
from ocpp16.models import Command, Message
from tests.conftest import wind_clock
from tests.world import fill, meter_value, superuser

MODELS = sorted(
    (model for model in admin.site._registry if model not in (User, Group)), key=lambda model: model.__name__
)
name_of = lambda model: model.__name__  # noqa: E731  pytest's ids


@pytest.fixture
def as_superuser(db: None, client: Client) -> Client:
    client.force_login(superuser())
    return client


def queries_of(client: Client, url: str) -> int:
    wind_clock()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_asks_the_database_as_often_for_many_rows_as_for_two(model: Any, as_superuser: Client) -> None:
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    fill("ONE")
    fill("TWO")
    before = queries_of(as_superuser, url)
    for number in range(3, 8):
        fill(f"MORE{number}")
    assert queries_of(as_superuser, url) == before


def test_tells_simulated_sessions_from_real_ones(as_superuser: Client) -> None:
    real, simulated = (fill(mark)[Transaction] for mark in ("REAL", "SIM"))
    ChargePoint.objects.filter(pk=simulated.charge_point_id).update(is_simulated=True)
    url = reverse("admin:chargepoints_transaction_changelist")
    for value, expected in (("1", [simulated]), ("0", [real])):
        response = as_superuser.get(url, {"simulated": value})
        assert list(response.context["cl"].result_list) == expected


ODD = ["%00", "-1", "9" * 18, "x", "%F0%9F%94%8C", "1%27", "%ff", ""]
NAMES = [
    "charge_point",
    "organization",
    "transaction",
    "status",
    "vendor",
    "simulated",
    "connection",
    "action",
    "state",
    "kind__exact",
    "p",
    "q",
    "e",
    "o",
    "id",
]


@pytest.mark.parametrize("model", MODELS, ids=name_of)
def test_answers_odd_addresses_without_a_fault(model: Any, as_superuser: Client) -> None:
    fill("ALPHA")
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    for name in NAMES:
        for value in ODD:
            assert as_superuser.get(f"{url}?{name}={value}").status_code in (200, 302, 400), (name, value)


DIGITS = "9" * 5000
HOSTILE = [
    (Message, "charge_point", DIGITS, 200),
    (Message, "frame__regex", "(((", 400),
    (Message, "frame__iregex", "(((", 400),
    (Message, "charge_point_id", "9" * 30, 400),
    (Transaction, "q", DIGITS, 200),
    (Transaction, "q", "9" * 30, 200),
    (Transaction, "connector_id", "9" * 30, 200),
    (Transaction, "id__in", "9" * 30, 400),
    (MeterValue, "transaction", DIGITS, 200),
    (MeterValue, "transaction__exact", "9" * 30, 400),
    (MeterValue, "sampled_values__contains", "a", 400),
    (Command, "api_key", "9" * 30, 400),
    (Command, "payload__type__regex", "(((", 400),
    (ApiKey, "scopes__contains", "a", 400),
    (ApiKey, "created_by", DIGITS, 400),
]


@pytest.mark.parametrize(("model", "name", "value", "status"), HOSTILE)
def test_answers_hostile_addresses_without_a_fault(
    model: Any, name: str, value: str, status: int, as_superuser: Client
) -> None:
    fill("ALPHA")
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    response = as_superuser.get(url, {name: value})
    assert response.status_code == status
    assert b"ALPHA-CP" not in response.content


def test_counts_no_further_than_it_says(as_superuser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CappedPaginator, "LIMIT", 3)
    charge_point = fill("ALPHA")[ChargePoint]
    url = reverse("admin:chargepoints_notification_changelist")
    assert "The first" not in as_superuser.get(url).content.decode()
    for _ in range(5):
        Notification.objects.create(charge_point=charge_point, action="DataTransfer")
    assert "The first 3 notifications" in " ".join(as_superuser.get(url).content.decode().split())


@pytest.mark.parametrize("model", [Transaction, MeterValue, Notification], ids=name_of)
def test_lets_nobody_change_what_charge_points_wrote(model: Any, as_superuser: Client) -> None:
    row = fill("ALPHA")[model]
    names = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert as_superuser.get(reverse(f"{names}_add")).status_code == 403
    assert as_superuser.post(reverse(f"{names}_change", args=[row.pk]), {}).status_code == 403
    assert as_superuser.post(reverse(f"{names}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_narrows_a_log_to_one_charge_point(as_superuser: Client) -> None:
    first, _ = fill("ALPHA"), fill("BETA")
    url = reverse("admin:ocpp16_message_changelist")
    listed = as_superuser.get(url, {"charge_point": first[ChargePoint].pk}).context["cl"]
    assert [message.charge_point for message in listed.result_list] == [first[ChargePoint]]
    nothing = as_superuser.get(url, {"charge_point": 10**30}).context["cl"]
    assert not nothing.result_list


@pytest.mark.parametrize("text", ["ALPHA-C", "alpha-tag"])
def test_finds_transactions(text: str, as_superuser: Client) -> None:
    first, _ = fill("ALPHA"), fill("BETA")
    url = reverse("admin:chargepoints_transaction_changelist")
    assert list(as_superuser.get(url, {"q": text}).context["cl"].result_list) == [first[Transaction]]
    by_id = as_superuser.get(url, {"q": str(first[Transaction].pk)})
    assert list(by_id.context["cl"].result_list) == [first[Transaction]]


def test_shows_the_meter_values_of_a_transaction_as_a_table(as_superuser: Client) -> None:
    transaction = fill("ALPHA")[Transaction]
    url = reverse("admin:chargepoints_transaction_change", args=[transaction.pk])
    readings = as_superuser.get(url).context["readings"]
    assert readings.columns == ["Energy.Active.Import.Register", "Current.Import L1", "Power.Active.Import"]
    ((_, contexts, values),) = readings.rows
    assert values == ["1500 Wh", "16 A", "7.2 kW"]
    assert contexts == "Sample.Periodic"


def test_shows_the_newest_of_many_meter_values(as_superuser: Client) -> None:
    transaction = fill("ALPHA")[Transaction]
    for _ in range(201):
        meter_value(transaction, timezone.now())
    response = as_superuser.get(reverse("admin:chargepoints_transaction_change", args=[transaction.pk]))
    assert len(response.context["readings"].rows) == 200
    assert "All meter values" in response.content.decode()


@pytest.mark.parametrize(
    "sampled_values", [None, "text", {"value": "1"}, [1, None, "x"], [{"measurand": None, "value": {"a": 1}}], [{}]]
)
def test_shows_readings_of_any_shape(sampled_values: Any) -> None:
    row = MeterValue(sampled_values=sampled_values, timestamp=timezone.now(), fingerprint=uuid.uuid4())
    readings = table([row])
    assert len(readings.rows) == 1


def test_names_the_apps_in_the_order_of_daily_work(as_superuser: Client) -> None:
    apps = as_superuser.get("/admin/").context["app_list"]
    assert [app["app_label"] for app in apps] == ["chargepoints", "ocpp16", "apikeys", "auth", "axes"]
    assert [model["object_name"] for model in apps[0]["models"]][:3] == ["ChargePoint", "Transaction", "IdTag"]
