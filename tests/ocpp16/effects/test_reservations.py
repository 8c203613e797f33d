"""Reservations, as far as the charge point accepted them."""

from __future__ import annotations

from typing import Any

import pytest

from chargepoints.models import Reservation

EXPIRY = "2999-03-10T17:00:00Z"


async def reserve(command: Any, answer: str = "Accepted", **changes: Any) -> Any:
    body = {"connector_id": 1, "expiry_date": EXPIRY, "id_tag": "TAG", "reservation_id": 5001} | changes
    return await command("reserve_now", answer, **body)


async def test_keeps_an_accepted_reservation(command: Any, row: Any) -> None:
    await reserve(command, parent_id_tag="GROUP")
    kept = Reservation.objects.get()
    assert (kept.charge_point, kept.reservation_id, kept.connector_id) == (row, 5001, 1)
    assert (kept.id_tag, kept.parent_id_tag, kept.state) == ("TAG", "GROUP", "active")
    assert kept.expires_at.isoformat() == "2999-03-10T17:00:00+00:00"


@pytest.mark.parametrize("answer", ["Rejected", "Occupied", "Faulted", "Unavailable"])
async def test_keeps_no_other_reservation(command: Any, answer: str) -> None:
    await reserve(command, answer)
    assert not Reservation.objects.exists()


async def test_replaces_a_reservation_of_the_same_id(command: Any) -> None:
    await reserve(command)
    await reserve(command, connector_id=2, id_tag="OTHER")
    assert (Reservation.objects.get().connector_id, Reservation.objects.get().id_tag) == (2, "OTHER")


@pytest.mark.parametrize(("answer", "state"), [("Accepted", "cancelled"), ("Rejected", "active")])
async def test_cancels_a_reservation_when_the_charge_point_does(command: Any, answer: str, state: str) -> None:
    await reserve(command)
    await command("cancel_reservation", answer, reservation_id=5001)
    assert Reservation.objects.get().state == state


async def test_lets_a_cancelled_id_be_reserved_again(command: Any) -> None:
    await reserve(command)
    await command("cancel_reservation", "Accepted", reservation_id=5001)
    await reserve(command)
    assert (Reservation.objects.get().state, Reservation.objects.get().ended_at) == ("active", None)


async def test_uses_up_a_reservation_with_the_session_that_names_it(command: Any, charge_point: Any) -> None:
    await reserve(command)
    start = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-01-01T10:00:00Z"}
    await charge_point.call("StartTransaction", {**start, "reservationId": 5001})
    assert Reservation.objects.get().state == "used"
