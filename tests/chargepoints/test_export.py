"""Lists of the admin as CSV files, as a spreadsheet reads them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from chargepoints.csv_files import CHUNK, cell, lines
from chargepoints.models import ChargePoint, IdTag, Transaction
from tests.world import fill, staff, superuser

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", '"=1', "＝1", "=cmd|' /C calc'!A0"]


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("before", ["", "a;", "a,", "a\t", "a\n", "a\r", 'a";', "a|"])
def test_lets_no_text_begin_a_formula(formula: str, before: str) -> None:
    written = lines([["first", before + formula, "last"]])
    for delimiter in ",;\t|":  # as it is meant, and as a spreadsheet reads it where another separator is customary
        cells = [text for row in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter) for text in row]
        assert [text for text in cells if text.lstrip(" \"'\n")[:1] in tuple("=+-@＝\t\r") and text[0] != "'"] == []
    read = next(csv.reader(io.StringIO(written, newline="")))
    assert read[1].replace("'", "") == (before + formula).replace("'", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Rue de l'Église 5; Zürich", "Rue de l'Église 5; Zürich"),
        ('say "hello", twice', 'say "hello", twice'),
        ("two\nlines", "two\nlines"),
        ("a-b, c", "a-b, c"),
        ("nul\x00", "nul"),
        ("half \ud800", "half \\ud800"),
        (-5, "-5"),
        (None, ""),
        (True, "yes"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05Z"),
    ],
)
def test_leaves_other_values_what_they_are(value: Any, text: str) -> None:
    assert next(csv.reader(io.StringIO(lines([[value]]), newline=""))) == [text]
    assert cell(7) == 7


async def export(servers: Any, user: User, model: Any, **form: Any) -> list[list[str]]:
    """The rows of the file that the action on a list answers, the heading first."""
    login = Client()
    login.force_login(user)
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    cookies = {"sessionid": login.cookies["sessionid"].value}
    async with httpx2.AsyncClient(base_url=servers.http_url, cookies=cookies, timeout=30) as client:
        await client.get(url)
        form |= {"action": "export_as_csv", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        response = await client.post(url, data=form, headers={"Origin": servers.http_url})
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith("attachment; filename=")
    assert response.content.startswith(b"\xef\xbb\xbf")
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))


async def test_exports_what_was_selected(servers: Any) -> None:
    first = fill("ALPHA")[Transaction]
    fill("BETA")
    heading, *rows = await export(servers, superuser(), Transaction, _selected_action=[first.pk])
    told = dict(zip(heading, rows[0], strict=True))
    assert len(rows) == 1
    assert told["id"] == str(first.pk)
    assert told["charge_point_identity"] == "ALPHA-CP"
    assert told["charge_point_organization_name"] == "ALPHA Energy"
    assert told["energy_delivered_wh"] == "0"
    assert told["charge_point_is_simulated"] == "no"
    assert told["started_at"] == f"{first.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def test_exports_a_long_list_in_its_order(servers: Any, organization: Any) -> None:
    count = CHUNK * 2 + 1
    rows = [ChargePoint(organization=organization, identity=f"CP-{number:05}") for number in range(count)]
    ChargePoint.objects.bulk_create(reversed(rows))
    chosen = {"select_across": "1", "_selected_action": [ChargePoint.objects.all()[0].pk]}
    heading, *exported = await export(servers, superuser(), ChargePoint, **chosen)
    assert heading[:3] == ["identity", "organization_name", "is_online"]
    assert [row[0] for row in exported] == [row.identity for row in rows]


async def test_exports_nothing_of_another_organization(servers: Any, organization: Any) -> None:
    IdTag.objects.create(organization=organization, id_tag="OWN", description="=HYPERLINK(1)")
    foreign = fill("ALPHA")[IdTag]
    chosen = {"select_across": "1", "_selected_action": [foreign.pk]}
    _, *rows = await export(servers, staff(organization), IdTag, **chosen)
    assert [row[0] for row in rows] == ["OWN"]
    assert rows[0][-1] == "'=HYPERLINK(1)"
