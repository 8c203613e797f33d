"""How the admin shows values. Everything is escaped: much of it was written by charge points."""

from __future__ import annotations

import json
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

# What a word means to the person who reads it; the stylesheet gives each tone its colours.
TONES = {
    "good": ("delivered", "Available", "Accepted", "active", "accepted", "online", "used", "Operative"),
    "busy": ("pending", "Charging", "Preparing", "Finishing", "Reserved", "queued", "sent", "Occupied", "Pending"),
    "warn": (
        "paused",
        "failing",
        "SuspendedEV",
        "SuspendedEVSE",
        "timed_out",
        "rate_limited",
        "lost",
        "inferred",
        "Expired",
        "expired",
    ),
    "bad": (
        "given_up",
        "Faulted",
        "Unavailable",
        "rejected",
        "call_error",
        "Rejected",
        "Blocked",
        "Inoperative",
        "revoked",
    ),
}
TONE_OF = {word: tone for tone, words in TONES.items() for word in words}


def chip(value: str, text: str = "") -> SafeString:
    """A status as a coloured label that says it in words too."""
    return format_html('<span class="chip chip-{}">{}</span>', TONE_OF.get(value, "quiet"), text or value or "unknown")


def pretty(value: Any) -> SafeString | str:
    """JSON, indented; text that is no JSON as it is."""
    if value in (None, ""):
        return "-"
    return format_html('<pre class="frame">{}</pre>', value if isinstance(value, str) else indented(value))


def indented(value: Any) -> str:
    """JSON for a person, unless it is nested too deeply for one."""
    try:
        return printable(json.dumps(value, indent=2, ensure_ascii=False))
    except RecursionError:
        return "(nested too deeply to be shown)"


def pretty_frame(frame: str) -> SafeString | str:
    """A frame as JSON, indented; one that is no JSON as it came."""
    try:
        return pretty(indented(json.loads(frame)))
    except (ValueError, RecursionError):
        return pretty(frame)


def printable(text: str) -> str:
    """The text with escapes for the lone surrogates that JSON lets a charge point send and UTF-8 cannot hold."""
    return text.encode(errors="backslashreplace").decode()


def watt_hours(value: int | None) -> str:
    """An amount of energy in kWh, to the Wh."""
    return "-" if value is None else f"{value / 1000:.3f} kWh"


def duration(seconds: int) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
