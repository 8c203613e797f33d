"""What is done beside the sockets: again and again, through failures, and to the end of what was begun."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from chargepoints.database import upkeep_thread
from chargepoints.models import ChargePoint, ListingChange
from chargepoints.models.listing import CHANGES
from dynamo import worker
from dynamo.reachability import is_alone
from dynamo.worker import Duty
from tests.conftest import eventually
from tests.ocpp16.knocking import status_of
from tests.servers import ROOT, ServerProcess, running


class Batches:
    """A duty's work: each batch returns the next of these, or raises it; then there is nothing left."""

    def __init__(self, *results: int | Exception) -> None:
        self.results, self.asked = list(results), 0

    def __call__(self) -> int:
        self.asked += 1
        result = self.results.pop(0) if self.results else 0
        if isinstance(result, Exception):
            raise result
        return result


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Attends to duties with these batches, looked at every few milliseconds, and to nothing else."""

    async def rest(deliverer: Any) -> None:
        await asyncio.Event().wait()

    @asynccontextmanager
    async def attend(*batches: Callable[[], int]) -> AsyncIterator[asyncio.Task[None]]:
        monkeypatch.setattr(worker, "DUTIES", [Duty("things", "things were done", 0.01, batch) for batch in batches])
        monkeypatch.setattr(worker.Deliverer, "run", rest)
        task = asyncio.create_task(worker.run())
        yield task
        if not task.cancelling():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return attend


async def test_does_batches_until_nothing_is_left_and_tells_how_much(work: Any, caplog: Any) -> None:
    caplog.set_level("INFO")
    batches = Batches(3, 4)
    async with work(batches):
        await eventually(lambda: batches.asked > 4)
    told = [record.getMessage() for record in caplog.records if record.name == worker.__name__]
    assert told == ["7 things were done"]


async def test_ends_when_what_is_in_flight_has(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def deliver(deliverer: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.2)
            ended.set()

    monkeypatch.setattr(worker, "DUTIES", [Duty("things", "things were done", 60, Batches())])
    monkeypatch.setattr(worker.Deliverer, "run", deliver)
    task = asyncio.create_task(worker.run())
    await asyncio.wait_for(begun.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_leaves_what_is_too_little_for_a_batch_until_the_next_look() -> None:
    batches = Batches(5, 5, 4, 3)
    await worker.fulfil(Duty("things", "things were done", 0.01, batches, full=5), upkeep_thread)
    assert batches.results == [3]


@pytest.mark.parametrize("failure", [OperationalError("the database is away"), ValueError("a fault of ours")])
async def test_goes_on_after_a_failure(work: Any, caplog: Any, failure: Exception) -> None:
    caplog.set_level("INFO")
    batches = Batches(failure, 2)
    async with work(batches):
        await eventually(lambda: "2 things were done" in caplog.text)
    assert str(failure) in caplog.text


async def test_lets_no_duty_wait_for_another(work: Any) -> None:
    release, other = Event(), Batches()

    def long() -> int:
        release.wait(10)
        return 0

    async with work(long, other):
        await eventually(lambda: other.asked > 2)
        release.set()


async def test_finishes_the_batch_in_flight_when_it_is_told_to_end(work: Any) -> None:
    begun, release, finished = Event(), Event(), Event()

    def batch() -> int:
        begun.set()
        release.wait(10)
        finished.set()
        return 0

    async with work(batch) as task:
        await eventually(begun.is_set)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=0.1)
        assert not done
        release.set()
    assert finished.is_set()


def lapse(row: ChargePoint) -> None:
    row.connect("ocpp16.of-a-worker-that-died", "127.0.0.1")
    ChargePoint.objects.filter(pk=row.pk).update(online_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.skipif(not is_alone(), reason="on services it is another process's work")
async def test_is_done_by_the_server_that_is_alone(
    transactional_db: None, make_charge_point: Any, tmp_path: Path
) -> None:
    row = make_charge_point()
    lapse(row)
    server = ServerProcess(str(connection.settings_dict["NAME"]), tmp_path / "server.log")
    with running(server):
        await eventually(lambda: ChargePoint.objects.get(pk=row.pk).disconnected_at)
    assert server.process.returncode == 0


class WorkerProcess(ServerProcess):
    """What is done beside the sockets, and where that is asked about."""

    @property
    def arguments(self) -> list[str]:
        return ["worker", "--port", str(self.port)]


async def test_answers_probes_and_nothing_else(transactional_db: None, tmp_path: Path) -> None:
    process = WorkerProcess(str(connection.settings_dict["NAME"]), tmp_path / "worker.log")
    with running(process), httpx2.Client(base_url=f"http://127.0.0.1:{process.port}") as client:
        assert "dynamo_worker_rows_total" in client.get("/metrics").text
        assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 403
        assert client.get("/readyz").status_code == 200
        for path in ("/", "/admin/login/", "/api/v1/ocpp16/charge_points/status", "/doctor"):
            assert client.get(path).status_code == 404
        assert await status_of(process.port, "/ocpp16/CP") == 404
    assert process.process.returncode == 0
    assert "Traceback" not in process.log.read_text()


async def test_counts_lists_that_have_changed_much(transactional_db: None, organization: Any, tmp_path: Path) -> None:
    count = CHANGES + 1
    rows = [ChargePoint(organization=organization, identity=f"MANY-{number}") for number in range(count)]
    ChargePoint.objects.bulk_create(rows)
    changes = ListingChange.objects.for_organization(organization)
    with running(WorkerProcess(str(connection.settings_dict["NAME"]), tmp_path / "worker.log")):
        await eventually(lambda: changes.count() < count)
    assert list(changes.values_list("change", flat=True)) == [count]


def test_is_refused_beside_a_server_that_must_be_alone(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {"DYNAMO_NO_BOOTSTRAP": "1", "DYNAMO_DATA_DIR": str(tmp_path)}
    with (tmp_path / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "manage.py", "worker"]
        refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1
    assert "Another server runs on" in refused.stderr
