"""What repeats of the same message are known by."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any

from .json_text import canonical


def fingerprint(*parts: Any) -> uuid.UUID:
    """128 bits that are equal only for equal parts; what the database compares to find repeats."""
    return uuid.UUID(bytes=hashlib.blake2b(canonical(parts), digest_size=16).digest())


def start_mark(connector_id: int, id_tag: str, moment: datetime | str, meter_start: int) -> uuid.UUID:
    """The fingerprint of a start, by which its repeats are known."""
    return fingerprint(connector_id, id_tag.upper(), moment, meter_start)
