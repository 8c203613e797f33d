"""How the API tells a time."""

from __future__ import annotations

from datetime import datetime

import pytest

from apikeys.clock import written

pytestmark = pytest.mark.without_services


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        ("2026-01-02T03:04:05.999999+00:00", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+05:45", "2026-01-01T21:19:05Z"),
        ("0001-01-02T00:00:00+00:00", "0001-01-02T00:00:00Z"),
    ],
)
def test_is_in_utc_to_the_second(moment: str, told: str) -> None:
    assert written(datetime.fromisoformat(moment)) == told
