"""What is written as JSON can be read again, and equal values are known by equal bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargepoints.fingerprints import start_mark
from chargepoints.json_text import canonical, compact, listed

pytestmark = pytest.mark.without_services

EAST = timezone(timedelta(hours=5, minutes=45))
# With integers of any size and halves of surrogate pairs.
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec=None))
values = st.recursive(
    scalars | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner, max_size=5), max_leaves=10
)


def reversed_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_members(value[name]) for name in reversed(value)}
    return [reversed_members(inner) for inner in value] if isinstance(value, list) else value


@given(values)
def test_can_be_read_again(value: Any) -> None:
    assert json.loads(compact(value)) == value


@given(values)
def test_equal_values_are_the_same_bytes(value: Any) -> None:
    assert canonical(reversed_members(value)) == canonical(value)


@given(values, values)
def test_different_values_are_different_bytes(one: Any, other: Any) -> None:
    assert (canonical(one) == canonical(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )


@pytest.mark.parametrize("beside", [1, 2**64])
def test_what_is_no_json_is_written_as_asked(beside: int) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert json.loads(compact([moment, beside])) == [str(moment), beside]
    assert json.loads(compact([moment, beside], lambda value: value.year)) == [2026, beside]


@pytest.mark.parametrize("beside", [1, 2**64])
def test_rows_are_lists_in_which_a_time_loses_nothing(beside: int) -> None:
    moments = [datetime(year, 1, 2, 3, 4, 5, 6, tzinfo=zone) for year in (1, 2026) for zone in (UTC, EAST)]
    read = json.loads(listed([(beside, moment, {"a": [None]}) for moment in moments]))
    assert [datetime.fromisoformat(time) for _, time, _ in read] == moments
    assert all([number, more] == [beside, {"a": [None]}] for number, _, more in read)


@pytest.mark.parametrize(
    ("id_tag", "stored"),
    [("ab12", "4ef8ee35-1f36-4c18-4e26-4f616c0629bd"), ("äb12", "e11cf500-d666-a290-82d0-7c27e91e2e23")],
)
def test_a_start_is_known_again_as_it_was_stored_by_earlier_releases(id_tag: str, stored: str) -> None:
    mark = start_mark(1, id_tag, datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC), 1200)
    assert str(mark) == stored
