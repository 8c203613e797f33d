"""The admin in a real browser, on a real server: every page, and what staff do there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.async_api import Page, async_playwright, expect

from apikeys.models import ApiKey, Membership, Organization
from chargepoints.models import ChargePoint
from ocpp16.admin.forms import FORMS
from ocpp16.models import RefusedConnection
from tests.conftest import Servers
from tests.world import fill, staff, superuser

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"There is no Chromium at {CHROMIUM}; set CHROMIUM.")

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
CONTRAST = """chips => chips.map(chip => {
    const light = color => {
        const [r, g, b] = color.match(/[0-9.]+/g).map(Number)
            .map(value => value / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = getComputedStyle(chip);
    const [dark, bright] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
    return (bright + 0.05) / (dark + 0.05);
})"""


class Browser:
    """A page whose browser's complaints are kept, logged in as a user."""

    def __init__(self, page: Page, servers: Servers) -> None:
        self.page, self.servers = page, servers
        self.complaints: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {text}")

    async def log_in(self, user: User) -> None:
        login = Client()
        login.force_login(user)
        cookie = {"name": "sessionid", "value": login.cookies["sessionid"].value, "url": self.servers.http_url}
        await self.page.context.add_cookies([cookie])  # type: ignore[list-item]

    async def open(self, path: str) -> None:
        """Open a page and wait for its scripts; it must answer 200."""
        response = await self.page.goto(self.servers.http_url + path, wait_until="load")
        assert response is not None
        assert response.status == 200, path


@pytest.fixture
async def browser(servers: Servers) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await chromium.new_page(viewport={"width": 1280, "height": 900})
        yield Browser(page, servers)
        await chromium.close()


def url(model: Any, view: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def pages(kind: str, world: dict[type, Any]) -> list[str]:
    """The addresses of all pages of one kind."""
    if kind == "lists":
        return ["/admin/", "/admin/password_change/", *(url(model, "changelist") for model in MODELS)]
    if kind == "forms":
        return [url(model, "change", world[model].pk) for model in MODELS]
    if kind == "new":
        return [url(model, "add") for model in MODELS if may_add(model)]
    return own_pages(world)


def may_add(model: Any) -> bool:
    return model._meta.model_name in ("apikey", "chargepoint", "group", "idtag", "organization", "user")


def own_pages(world: dict[type, Any]) -> list[str]:
    key, charge_point = world[ApiKey].pk, world[ChargePoint].pk
    unknown = RefusedConnection.objects.create(identity="UNKNOWN", reason="unknown identity")
    return [
        *(url(ApiKey, view, key) for view in ("revoke", "rotate", "history")),
        *(url(ChargePoint, view, charge_point) for view in ("password", "history")),
        *(reverse("admin:ocpp16_command_send", args=[charge_point, kind]) for kind in FORMS),
        url(RefusedConnection, "adopt", unknown.pk),
        url(RefusedConnection, "delete", unknown.pk),
        url(Organization, "delete", Organization.objects.create(name="Empty").pk),
    ]


@pytest.mark.parametrize("kind", ["lists", "forms", "new", "own"])
async def test_shows_every_page_without_a_complaint_of_the_browser(kind: str, browser: Browser) -> None:
    world = fill("ALPHA")
    await browser.log_in(superuser())
    for path in pages(kind, world):
        await browser.open(path)
    assert browser.complaints == []


async def test_notices_what_the_policy_forbids(browser: Browser) -> None:
    await browser.open("/admin/login/")
    await browser.page.evaluate('document.body.innerHTML = \'<b style="color: red" onclick="x()">x</b>\'')
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [768, 1280])
async def test_can_be_read(scheme: Any, width: int, browser: Browser) -> None:
    world = fill("ALPHA")
    await browser.log_in(superuser())
    await browser.page.emulate_media(color_scheme=scheme)
    await browser.page.set_viewport_size({"width": width, "height": 900})
    for path in (url(ChargePoint, "changelist"), url(ChargePoint, "change", world[ChargePoint].pk)):
        await browser.open(path)
        contrasts = await browser.page.eval_on_selector_all(".chip", CONTRAST)
        assert contrasts
        assert min(contrasts) >= 4.5
        assert await browser.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


async def test_logs_staff_in(browser: Browser, organization: Any) -> None:
    user = staff(organization)
    user.set_password("correct horse")
    user.save()
    await browser.open("/admin/")
    await browser.page.fill("#id_username", user.username)
    await browser.page.fill("#id_password", "correct horse")
    await browser.page.click("input[type=submit]")
    await expect(browser.page.get_by_role("heading", name="Operations")).to_be_visible()


async def test_shows_the_secret_of_a_key_until_the_page_is_reloaded(browser: Browser, organization: Any) -> None:
    page = browser.page
    await browser.log_in(staff(organization))
    await browser.open(url(ApiKey, "add"))
    await page.fill("#id_name", "Portal")
    await page.check("text=write:charge_points")
    await page.get_by_role("button", name="Save", exact=True).click()
    secret = await page.locator("#secret").inner_text()
    assert secret not in page.url
    found = ApiKey.objects.find(secret)
    assert found is not None
    assert found.organization == organization
    await expect(page.get_by_role("button", name="Copy")).to_be_visible()
    await page.reload()
    assert secret not in await page.content()
    await page.go_back()
    assert secret not in await page.content()
    assert ApiKey.objects.count() == 1
    assert browser.complaints == []


async def test_adds_a_charge_point_that_can_connect(browser: Browser, organization: Any, connect: Any) -> None:
    page = browser.page
    await browser.log_in(staff(organization))
    await browser.open(url(ChargePoint, "add"))
    await page.fill("#id_identity", "GATE-1")
    await page.get_by_role("button", name="Save", exact=True).click()
    password = await page.locator("#secret").inner_text()
    await expect(page.get_by_text(f"{browser.servers.http_url.replace('http', 'ws')}/ocpp16/GATE-1")).to_be_visible()
    client = await connect(ChargePoint.objects.get(identity="GATE-1"), password)
    assert (await client.boot())["status"] == "Accepted"


async def test_sends_a_command_from_the_page_of_a_charge_point(browser: Browser, charge_point: Any) -> None:
    page, row = browser.page, ChargePoint.objects.get()
    await browser.log_in(staff(row.organization))
    await browser.open(url(ChargePoint, "change", row.pk))
    await page.get_by_role("link", name="Start", exact=True).click()
    await page.select_option("#id_connectorId", "1")
    await page.fill("#id_idTag", "TAG-1")
    pressed = asyncio.create_task(page.get_by_role("button", name="Start a transaction").click())
    call = await charge_point.expect("RemoteStartTransaction")
    assert call.payload == {"connectorId": 1, "idTag": "TAG-1"}
    await call.reply(status="Accepted")
    await pressed
    await expect(page.get_by_text("Start a transaction: the charge point accepted it.")).to_be_visible()
    await page.get_by_role("link", name="Command log").click()
    await expect(page.get_by_role("cell", name="RemoteStartTransaction", exact=True)).to_be_visible()
    assert browser.complaints == []


async def test_makes_a_user_a_member_of_an_organization(browser: Browser, organization: Any) -> None:
    page, user = browser.page, staff()
    await browser.log_in(superuser())
    await browser.open(url(User, "change", user.pk))
    await page.get_by_role("button", name="Add another Membership").click()
    await page.locator("#memberships-0 .select2-selection").click()
    await page.locator(".select2-search__field").fill(organization.name)
    await page.locator(".select2-results__option", has_text=organization.name).click()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".messagelist .success")).to_be_visible()
    assert Membership.objects.get(user=user).organization == organization
    assert browser.complaints == []
