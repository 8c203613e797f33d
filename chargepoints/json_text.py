"""The JSON that is written with every message: to the database, to charge points, and to tell what repeats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import orjson


def compact(value: Any, default: Callable[[Any], Any] = str) -> str:
    """The value with nothing between its words; `default` makes of what is no JSON, as times, something that is."""
    return _written(value, default, orjson.OPT_PASSTHROUGH_DATETIME).decode()


def listed(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as an array of arrays, with times as the database reads them."""
    return _written([[*row] for row in rows], str, 0).decode()


def canonical(value: Any) -> bytes:
    """The same bytes for equal values, whatever the order of their members; ours alone, to be compared and hashed."""
    written = _written(value, str, orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS)
    # In the database are hashes of what json makes of other letters.
    return written if written.isascii() else _written_by_json(value, str, is_sorted=True)


def _written(value: Any, default: Callable[[Any], Any], options: int) -> bytes:
    try:
        return orjson.dumps(value, default, options)
    except TypeError:  # an integer of more than 64 bits, half a surrogate pair
        return _written_by_json(value, default, is_sorted=bool(options & orjson.OPT_SORT_KEYS))


def _written_by_json(value: Any, default: Callable[[Any], Any], *, is_sorted: bool) -> bytes:
    """Eight times as slow, and takes whatever Python has read."""
    return json.dumps(value, default=default, sort_keys=is_sorted, separators=(",", ":")).encode()
