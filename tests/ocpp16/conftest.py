from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .central_system import CentralSystem, running_central_system


@pytest.fixture
async def central_system() -> AsyncIterator[CentralSystem]:
    """A central system that is not ours, for simulated charge points."""
    async with running_central_system() as running:
        yield running
