"""What a load is told, and the window in which it is measured."""

from __future__ import annotations

import time
from typing import Any

from . import processes
from .charge_point import ChargePoint
from .rows import identity

Figures = dict[str, float]


class Failed(Exception):
    """The server did not do what the load asks for."""


class Job:
    """What is to be driven: `options` of the load, and where the system is."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.urls: list[str] = given["urls"]
        self.http: list[str] = given["http"]
        self.processes: processes.Groups = given["processes"]
        self.options: dict[str, Any] = given["options"]
        self.latencies: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return self.options[name]

    def charge_points(self, count: int, urls: list[str] | None = None, **options: Any) -> list[ChargePoint]:
        """So many, in turn on the system's workers."""
        chosen = urls or self.urls
        return [
            ChargePoint(chosen[number % len(chosen)], identity(self.prefix, number), self.latencies, **options)
            for number in range(count)
        ]

    def application(self) -> int:
        """Bytes that the server processes hold, without those of the database and the layer."""
        return processes.memory(self.processes["application"])


class Window:
    """The time between entering and leaving, and the CPU time that each part of the system took in it."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __enter__(self) -> Window:
        self.job.latencies.clear()
        self.cpu_before, self.client_before = processes.cpu_seconds(self.job.processes), time.process_time()
        self.began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began
        self.client = time.process_time() - self.client_before
        after = processes.cpu_seconds(self.job.processes)
        self.cpu = {name: after[name] - before for name, before in self.cpu_before.items()}
        self.latencies = sorted(self.job.latencies)
        self.megabytes = self.job.application() / 1e6

    @property
    def percent(self) -> float:
        """Of a core, that all processes together took."""
        return 100 * sum(self.cpu.values()) / self.seconds

    def figures(self, count: float) -> Figures:
        """Of `count` units of work: their rate, the latencies of what they consist of, and milliseconds of CPU each."""
        if not count:
            raise Failed("Nothing was answered.")
        parts = {f"cpu_{name}": 1000 * seconds / count for name, seconds in self.cpu.items()}
        whole = {"cpu": sum(parts.values()), "client": 1000 * self.client / count, "megabytes": self.megabytes}
        return {"rate": count / self.seconds, **latency(self.latencies), **whole, **parts}


def latency(seconds: list[float]) -> Figures:
    """Median and 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    return {"p50": 1000 * percentile(ordered, 0.5), "p99": 1000 * percentile(ordered, 0.99)} if ordered else {}


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
