"""Availability, at once or at the end of sessions."""

from __future__ import annotations

from typing import Any


async def test_shows_an_accepted_availability(command: Any, row: Any) -> None:
    await command("change_availability", "Accepted", connector_id=1, type="Inoperative")
    connector = row.connectors.get(connector_id=1)
    assert (connector.availability, connector.scheduled_availability) == ("Inoperative", "")


async def test_shows_no_rejected_availability(command: Any, row: Any) -> None:
    await command("change_availability", "Rejected", connector_id=1, type="Inoperative")
    assert row.connectors.get(connector_id=1).availability == ""


async def test_lets_a_scheduled_availability_wait_for_the_end_of_the_session(
    command: Any, charge_point: Any, row: Any
) -> None:
    number = await charge_point.start()
    await command("change_availability", "Scheduled", connector_id=1, type="Inoperative")
    connector = row.connectors.get(connector_id=1)
    assert (connector.availability, connector.scheduled_availability) == ("", "Inoperative")
    await charge_point.stop(number)
    connector.refresh_from_db()
    assert (connector.availability, connector.scheduled_availability) == ("Inoperative", "")


async def test_changes_every_connector_with_connector_0(command: Any, charge_point: Any, row: Any) -> None:
    await charge_point.status(2)
    await command("change_availability", "Accepted", connector_id=0, type="Inoperative")
    assert {connector.availability for connector in row.connectors.all()} == {"Inoperative"}
    await command("change_availability", "Accepted", connector_id=2, type="Operative")
    stored = row.connectors.order_by("connector_id").values_list("availability", flat=True)
    assert list(stored) == ["Inoperative", "Inoperative", "Operative"]


async def test_lets_a_scheduled_charge_point_wait_for_its_last_session(
    command: Any, charge_point: Any, row: Any
) -> None:
    first, second = [await charge_point.start(connector_id=connector) for connector in (1, 2)]
    await charge_point.status(2)
    await command("change_availability", "Scheduled", connector_id=0, type="Inoperative")
    await charge_point.stop(first)
    stored = row.connectors.order_by("connector_id").values_list("availability", flat=True)
    assert list(stored) == ["", "Inoperative", ""]
    await charge_point.stop(second)
    assert list(stored.all()) == ["Inoperative"] * 3
