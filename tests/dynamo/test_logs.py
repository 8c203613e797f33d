"""Log lines as operators and their tools read them: whole, attributable, and not to be forged by what they tell of."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import httpx2
import pytest

from apikeys.models import ApiKey
from dynamo.logs import JSONFormatter, LineFormatter
from ocpp16.log_fields import bound
from tests.charge_point import ChargePointClient
from tests.conftest import eventually
from tests.ocpp16.knocking import knock
from tests.servers import ServerProcess

from .test_settings import manage

ROOT = "/api/v1/ocpp16"
FORGED = "2026-01-01T00:00:00.000Z INFO dynamo.access answered"
HOSTILE = ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028", "\u2029", "\x1b[2K", "\x00", "\u202e", "\ud800"]


def record(message: str, *arguments: Any, error: Exception | None = None) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("tests", logging.WARNING, __file__, 1, message, arguments, raised)


def caught(error: Exception) -> Exception:
    try:
        raise error
    except Exception as raised:
        return raised


@pytest.mark.parametrize("separator", HOSTILE)
@pytest.mark.parametrize("formatter", [LineFormatter(), JSONFormatter()], ids=["line", "json"])
def test_keeps_one_line_whatever_the_message_holds(formatter: logging.Formatter, separator: str) -> None:
    with bound(charge_point=f"CP{separator}{FORGED}"):
        text = formatter.format(record("Refused %s", f"CP{separator}{FORGED}"))
    assert text.isprintable()
    text.encode()
    assert text.count(FORGED) == 2


@pytest.mark.parametrize("separator", HOSTILE)
def test_marks_every_line_of_a_traceback(separator: str) -> None:
    text = LineFormatter().format(record("It failed", error=caught(ValueError(f"x{separator}{FORGED}"))))
    first, *rest = text.split("\n")
    assert first.endswith("tests It failed")
    assert all(line.startswith("  | ") and line.isprintable() for line in rest)
    assert FORGED in text


def test_keeps_a_traceback_in_the_object() -> None:
    line = json.loads(JSONFormatter().format(record("It failed", error=caught(ValueError("why")))))
    assert line["exception"].endswith("ValueError: why")
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "tests", "It failed")


@pytest.mark.parametrize("formatter", [LineFormatter(), JSONFormatter()], ids=["line", "json"])
@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("key dyn_live_abcdefgh0123456789012345678901234567 is wrong", "0123456789012345678901234567"),
        ("key dyn_test_abcdefgh0123456789012345678901234567 is wrong", "0123456789012345678901234567"),
        ("Authorization: Basic Q1AtMTpzZWNyZXQtc2VjcmV0", "Q1AtMTpzZWNyZXQtc2VjcmV0"),
        ("cannot reach postgresql://dynamo:secret-word@host:5432/name", "secret-word"),
        ("cannot reach redis://:secret-word@host:6379/0", "secret-word"),
        ('receive [2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"secret-word"}]', "secret-word"),
        ("payload {'key': 'AuthorizationKey', 'value': 'secret-word'}", "secret-word"),
    ],
)
def test_masks_a_secret_that_a_library_quotes(formatter: logging.Formatter, text: str, secret: str) -> None:
    told = formatter.format(record("%s", text, error=caught(ValueError(text))))
    assert secret not in told
    assert "ValueError" in told


def test_refuses_a_format_that_it_does_not_know(tmp_path: Path) -> None:
    refused = manage("check", data=tmp_path, DYNAMO_LOG_FORMAT="xml")
    assert (refused.returncode, refused.stderr) == (1, "DYNAMO_LOG_FORMAT must be LINE or JSON, not 'XML'.\n")


@pytest.fixture(scope="module", params=["json", "line"])
def own_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    return {"DYNAMO_LOG_FORMAT": request.param}


async def lines(server: ServerProcess, *words: str) -> list[str]:
    """The lines that hold all these words, once there are some."""

    def found() -> list[str]:
        return [line for line in server.log.read_text().splitlines() if all(word in line for word in words)]

    return await eventually(found)


async def ask(server: ServerProcess, path: str, key: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=30) as client:
        return await client.get(f"{ROOT}{path}", headers={"Authorization": f"Bearer {key}", **headers})


async def test_tells_of_each_request_of_the_api(server: ServerProcess, make_key: Any, organization: Any) -> None:
    key = make_key()
    await ask(server, "/charge_points/status?api_key=misplaced", key, **{"X-Request-Id": "order-1"})
    (line,) = await lines(server, "order-1")
    told = [ApiKey.objects.get().prefix, organization.name, f"{ROOT}/charge_points/status", "200", "GET"]
    assert [word for word in told if word not in line] == []
    assert key not in line
    assert "misplaced" not in line
    if line.startswith("{"):
        fields = json.loads(line)
        assert fields["logger"] == "dynamo.access"
        assert fields["status"] == 200
        assert fields["duration_ms"] >= 0


async def test_tells_of_a_request_that_was_refused(server: ServerProcess) -> None:
    await ask(server, "/charge_points/status", "dyn_live_wrong", **{"X-Request-Id": "order-2"})
    (line,) = await lines(server, "order-2")
    assert "401" in line


async def refusal_of_deleted(server: ServerProcess, row: Any) -> str:
    """What a charge point is told that was deleted while connected; it may be that its socket is closed."""
    client = ChargePointClient(f"ws://127.0.0.1:{server.port}/ocpp16/{row.identity}", row.identity)
    await client.connect()
    await client.boot()
    row.delete()
    with pytest.raises(Exception) as refused:
        await client.call("Authorize", {"idTag": "TAG"}, message_id="deep-1")
    await client.close()
    return str(refused.value)


async def test_names_charge_point_message_and_action_deep_inside(server: ServerProcess, make_charge_point: Any) -> None:
    row = make_charge_point()
    if "InternalError" not in (told := await refusal_of_deleted(server, row)):
        # Sockets without a charge point are looked for every three seconds: this moment, but not the next one.
        row = make_charge_point()
        told = await refusal_of_deleted(server, row)
    assert "InternalError" in told
    (line,) = (await lines(server, "deep-1", row.identity))[:1]
    assert "Authorize" in line
    if line.startswith("{"):
        fields = json.loads(line)
        wanted = {"charge_point": row.identity, "message_id": "deep-1", "action": "Authorize"}
        assert {name: fields[name] for name in wanted} == wanted
        assert "DoesNotExist" in fields["exception"]


async def test_lets_nobody_forge_a_line(server: ServerProcess) -> None:
    forged = FORGED.replace(" ", "%20")
    for identity in (f"%0D%0A{forged}", f"STRANGER%E2%80%A8{forged[:24]}"):
        async with await knock(server.port, f"/ocpp16/{identity}") as answer:
            assert answer.status == 404
    await ask(server, f"/active_transactions/x%0A{forged}", "none")
    await lines(server, "STRANGER")
    await lines(server, "active_transactions/x")
    text = server.log.read_text()
    assert text.replace("\n", "").isprintable()
    written = text.split("\n")
    assert [line for line in written if line.startswith(FORGED[:24])] == []
    if server.environment["DYNAMO_LOG_FORMAT"] == "json":
        assert [line for line in written if line and not line.startswith(("{", "Dynamo listens"))] == []
