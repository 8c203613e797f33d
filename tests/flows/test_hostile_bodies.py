"""Bodies made to hurt: refused with a reason, and soon."""

from __future__ import annotations

import time

import pytest

from tests.api import Api, error_of, make_api, make_charge_point
from tests.ocpp16.reference import EXAMPLES, IDENTITY

pytestmark = pytest.mark.django_db
# Of the processor. Generous: what took more than time in proportion to a mebibyte would take minutes.
SECONDS = 5
DEEP = 100_000
BODIES = {
    "lists in lists": b"[" * DEEP + b"]" * DEEP,
    "lists that never end": b'{"a": ' + b"[" * DEEP,
    "objects in objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep in a payload": b'{"charge_point_id": "CP", "command": "Reset", "payload": ' + b"[" * 40 + b"]" * 40 + b"}",
    "a number of many digits": b'{"a": ' + b"9" * 500_000 + b"}",
    "a number without an end": b'{"a": 1e999}',
    "no number": b'{"a": NaN}',
    "the same name twice": b'{"type": "Soft", "type": "Hard"}',
    "the same name twice inside": b'{"payload": {"key": 1, "key": 2}}',
    "the same name many times": b"{" + b'"a": 1, ' * 100_000 + b'"a": 1}',
    "a giant string": b'{"charge_point_id": "' + b"x" * 1_000_000 + b'"}',
    "a giant name": b'{"' + b"x" * 1_000_000 + b'": 1}',
    "many members": b"{" + b", ".join(b'"n%d": 1' % number for number in range(60_000)) + b"}",
    "NULs": b'{"charge_point_id": "' + b"\\u0000" * 100_000 + b'"}',
    "halves of surrogate pairs": b'{"charge_point_id": "' + b"\\ud800" * 100_000 + b'"}',
    "no UTF-8": b'{"charge_point_id": "\xff\xfe"}',
    "nothing but quotes": b'"' * 1_000_000,
    "nothing but backslashes": b'{"a": "' + b"\\" * 1_000_000,
    "nothing": b"",
}


@pytest.fixture
def api() -> Api:
    api = make_api()
    make_charge_point(api.organization, IDENTITY)
    return api


@pytest.mark.parametrize("name", ["reset", "send_command"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_is_refused_with_a_reason_at_once(api: Api, name: str, body: bytes) -> None:
    started_at = time.process_time()
    response = api.post(name, body)
    assert time.process_time() - started_at < SECONDS
    error_of(response, 400, "validation_error")
    assert len(response.content) < 50_000


def test_takes_an_ordinary_body_afterwards(api: Api) -> None:
    error_of(api.post("reset", BODIES["lists in lists"]), 400, "validation_error")
    error_of(api.post("reset", EXAMPLES["reset"].body), 422, "charge_point_offline")
