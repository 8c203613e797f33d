from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One line of the doctor. `wrong` needs to be mended, a `note` to be known."""

    level: str
    text: str


def fine(text: str) -> Finding:
    return Finding("ok", text)


def note(text: str) -> Finding:
    return Finding("note", text)


def wrong(text: str) -> Finding:
    return Finding("wrong", text)


def judge(is_fine: object, good: str, bad: str) -> Finding:
    return fine(good) if is_fine else wrong(bad)
