"""Fixtures for what charge points send."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chargepoints.models import ChargePoint
from tests.conftest import eventually


@pytest.fixture
def row(charge_point: Any) -> ChargePoint:
    """The row of the connected charge point."""
    return ChargePoint.objects.select_related("organization").get(identity=charge_point.identity)


@pytest.fixture
def finding(charge_point: Any) -> Callable[[str], Awaitable[Any]]:
    """Waits for a conformance finding of the connected charge point."""

    async def find(kind: str) -> Any:
        row = ChargePoint.objects.get(identity=charge_point.identity)
        return await eventually(lambda: row.findings.filter(kind=kind).first())

    return find
