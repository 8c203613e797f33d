"""The demo: an organization whose five charge points are simulated beside the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apikeys.models import ApiKey, Organization
from apikeys.scopes import SCOPES
from chargepoints.credentials import generate_password
from chargepoints.models import ChargePoint, IdTag
from ocpp16.simulator import fleet
from ocpp16.simulator.charge_point import ChargePoint as SimulatedChargePoint
from ocpp16.simulator.makes import MAKES, Make
from ocpp16.simulator.memory import recollect, restore
from ocpp16.simulator.tasks import until_one_ends

ORGANIZATION = "Demo"
# Rare enough that one whose password was changed is not taken for an attack.
LONGEST_WAIT = 10.0
SECONDS_BETWEEN_SAVES = 15.0
SAMPLE_INTERVAL = "10"


@dataclass(frozen=True)
class Place:
    """One charge point of the demo; `id_tags` are the numbers of the tags that its drivers carry."""

    identity: str
    make: Make
    description: str
    scenario: str = "live"
    speed: float = 1.0
    id_tags: tuple[int, ...] = ()


# The first two do only what they are told: they are for the reader's own commands.
PLACES = (
    Place("DEMO-001", MAKES[0], "Simulated: waits for your commands", "idle"),
    Place("DEMO-002", MAKES[1], "Simulated: waits for your commands, two connectors", "idle"),
    Place("DEMO-003", MAKES[2], "Simulated: staff car park", speed=20, id_tags=(3, 4, 5, 11)),
    Place("DEMO-004", MAKES[3], "Simulated: supermarket, two connectors", speed=8, id_tags=(6, 7, 8, 12)),
    Place("DEMO-005", MAKES[4], "Simulated: motorway services", speed=6, id_tags=(9, 10)),
)
NUMBER_OF_TAGS = 12
BLOCKED_TAG, EXPIRED_TAG = 11, 12


@dataclass(frozen=True)
class Demo:
    """What was made, with the secret that is shown once; `id_tag` may charge at the first identity."""

    organization: str
    api_key: str
    identities: tuple[str, ...]
    id_tag: str


def provision() -> Demo | None:
    """Make the demo, all or nothing; None where any organization exists."""
    passwords = {place.identity: generate_password() for place in PLACES}
    with transaction.atomic():
        if Organization.objects.exists():
            return None
        organization = Organization.objects.create(name=ORGANIZATION)
        for place in PLACES:
            ChargePoint.objects.provision(
                organization,
                place.identity,
                passwords[place.identity],
                description=place.description,
                is_simulated=True,
            )
        IdTag.objects.bulk_create(id_tag(organization, number) for number in range(1, NUMBER_OF_TAGS + 1))
        api_key = ApiKey.objects.issue(organization, ORGANIZATION, SCOPES)[1]
        memory_file().unlink(missing_ok=True)
        write(passwords_file(), passwords)
    return Demo(ORGANIZATION, api_key, tuple(passwords), tag_name(1))


def id_tag(organization: Organization, number: int) -> IdTag:
    status = IdTag.Status.BLOCKED if number == BLOCKED_TAG else IdTag.Status.ACCEPTED
    expires_at = timezone.now() - timedelta(days=1) if number == EXPIRED_TAG else None
    return IdTag(organization=organization, id_tag=tag_name(number), status=status, expires_at=expires_at)


def tag_name(number: int) -> str:
    return f"DEMO-TAG-{number}"


def exists() -> bool:
    """Whether the demo was made here and its charge points are still registered."""
    identities = [place.identity for place in PLACES]
    return bool(read(passwords_file())) and ChargePoint.objects.filter(identity__in=identities).exists()


async def run_fleet(url: str) -> None:
    """Let the demo's charge points live until cancelled; `url` is without the identity."""
    passwords, memories = await asyncio.to_thread(lambda: (read(passwords_file()), read(memory_file())))
    lives = [(simulate(place, url, passwords, memories), place.scenario) for place in PLACES]
    charge_points = [charge_point for charge_point, _ in lives]
    try:
        await until_one_ends(fleet.run_fleet(lives), remember(charge_points))
    finally:
        write(memory_file(), {charge_point.identity: recollect(charge_point) for charge_point in charge_points})


def simulate(
    place: Place, url: str, passwords: dict[str, str], memories: dict[str, dict[str, Any]]
) -> SimulatedChargePoint:
    charge_point = SimulatedChargePoint(
        url,
        place.identity,
        password=passwords.get(place.identity),
        make=place.make,
        id_tags=[tag_name(number) for number in place.id_tags],
        speed=place.speed,
        longest_wait=LONGEST_WAIT,
    )
    charge_point.configuration["MeterValueSampleInterval"] = SAMPLE_INTERVAL
    if place.identity in memories:
        restore(charge_point, memories[place.identity])
    return charge_point


async def remember(charge_points: list[SimulatedChargePoint]) -> None:
    """Keep on disk what the charge points must know after a restart, so that their meters never run backwards."""
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_SAVES)
        memories = {charge_point.identity: recollect(charge_point) for charge_point in charge_points}
        await asyncio.to_thread(write, memory_file(), memories)


def passwords_file() -> Path:
    return settings.DATA_DIR / "demo.json"


def memory_file() -> Path:
    return settings.DATA_DIR / "demo-meters.json"


def read(path: Path) -> dict[str, Any]:
    """The content of a file that `write` wrote; empty where there is none."""
    with contextlib.suppress(FileNotFoundError):
        return json.loads(path.read_text())
    return {}


def write(path: Path, content: dict[str, Any]) -> None:
    """Write a file that only we may read, whole or not at all."""
    new = path.with_suffix(".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file)
    new.replace(path)
