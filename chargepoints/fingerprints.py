"""What repeats of the same message are known by."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime
from typing import Any

# Made once: of a stop with 10,000 readings, each needs it.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def fingerprint(*parts: Any) -> uuid.UUID:
    """128 bits that are equal only for equal parts; what the database compares to find repeats."""
    return uuid.UUID(bytes=hashlib.blake2b(_canonical(parts).encode(), digest_size=16).digest())


def start_mark(connector_id: int, id_tag: str, moment: datetime | str, meter_start: int) -> uuid.UUID:
    """The fingerprint of a start, by which its repeats are known."""
    return fingerprint(connector_id, id_tag.upper(), moment, meter_start)
