"""Whatever is sent, the answer is one of the contract."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp16.commands import COMMANDS
from tests.api import Api, error_of, make_api, make_charge_point
from tests.ocpp16.reference import EXAMPLES, IDENTITY

pytestmark = pytest.mark.django_db

TEXT = st.text(st.characters(), max_size=30) | st.sampled_from(["\x00", "\ud800", "2999-01-01T00:00:00Z", "Rejected"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=8)
CHANGED = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
ENDS = {400: "validation_error", 404: "not_found", 422: "charge_point_offline"}


@pytest.fixture
def api() -> Api:
    api = make_api()
    make_charge_point(api.organization, IDENTITY)
    return api


def change(value: Any, path: list[Any], new: Any) -> Any:
    """A copy of `value` in which what stands at `path` is `new`."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = change(copy[path[0]], path[1:], new)
    return copy


def paths(value: Any) -> list[list[Any]]:
    """The paths of all that is in `value`, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [[], *([name, *path] for name, member in inner for path in paths(member))]


@CHANGED
@given(name=st.sampled_from(list(COMMANDS)), data=st.data(), new=VALUES)
def test_answers_any_change_of_the_reference_with_the_envelope(api: Api, name: str, data: Any, new: Any) -> None:
    body = EXAMPLES[name].body
    changed = change(body, data.draw(st.sampled_from(paths(body))), new)
    response = api.post(name, json.dumps(changed).encode())
    error_of(response, response.status_code, ENDS[response.status_code])


@CHANGED
@given(name=st.sampled_from(list(COMMANDS)), body=st.binary(max_size=200))
def test_answers_any_bytes_with_the_envelope(api: Api, name: str, body: bytes) -> None:
    error_of(api.post(name, body), 400, "validation_error")
