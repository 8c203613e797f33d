"""What the measurement must show, and whether it does."""

from __future__ import annotations

from typing import Any, NamedTuple

from .job import Figures
from .loads import PLACES
from .measuring import Results


class Target(NamedTuple):
    """A bound on a figure of a load: at least it where that is a rate, else at most.

    `times`: a multiple of the same figure of another load, or of `bare`.
    """

    load: str
    figure: str
    limit: float
    times: str = ""
    embedded: float | None = None  # the limit there, where it does not follow

    @property
    def is_least(self) -> bool:
        return self.figure == "rate"

    def limit_of(self, setup: str) -> float:
        if setup != "embedded":
            return self.limit
        if self.embedded is not None:
            return self.embedded
        # Embedded must reach half of the rates, so that a call may cost it twice as much.
        if self.is_least:
            return self.limit / 2
        return self.limit * 2 if self.figure in ("cpu", "seconds") else self.limit

    def measured(self, loads: dict[str, Any]) -> float | None:
        """The figure, or how many times the other it is; None where something was not measured."""
        own = figure(loads, self.load, "product", self.figure)
        if not self.times or own is None:
            return own
        other = (self.load, "bare") if self.times == "bare" else (self.times, "product")
        floor = figure(loads, *other, self.figure)
        return own / floor if floor else None


def figure(loads: dict[str, Any], load: str, of: str, name: str) -> float | None:
    figures: Figures = loads.get(load, {}).get(of, {})
    return figures.get(name)


TARGETS = (
    Target("heartbeat", "cpu", 3.5, "bare"),
    Target("heartbeat", "cpu", 0.4),
    Target("meter_values", "cpu", 8, "bare"),
    Target("meter_values", "cpu", 0.9),
    Target("session", "cpu", 35, "bare"),
    Target("session", "cpu", 4),
    Target("status", "cpu", 10, "bare"),
    Target("command", "p50", 9, embedded=6),
    Target("commands", "cpu", 7),
    Target("commands", "rate", 250),
    Target("in_flight", "seconds", 4),
    Target("in_flight", "lost", 0),
    Target("in_flight", "kilobytes", 60),
    *(Target(load, "added", 2, "bare") for load in ("idle", "idle_many")),
    *(Target(load, "percent", 2) for load in ("idle", "idle_many")),
    *(Target(load, "kilobytes", 30) for load in ("idle", "idle_many")),
    Target("handshakes", "rate", 250),
    Target("boots", "rate", 150),
    Target("boots", "lost", 0),
    *(
        Target("pages_large", f"p50_{page}", 1.5, "pages_small")
        for page in ("rare", *(of + place for of in ("", "charging_", "available_") for place in PLACES))
    ),
    Target("pages_large", "queries", 3),
    *(Target("active_many", f"{figure}_times", 1.2) for figure in ("p50", "cpu")),
    Target("day", "p99", 250),
    Target("day", "lost", 0),
    Target("day", "growth", 3),
)


class Verdict(NamedTuple):
    """`by`: by how much of the limit it was missed, or met with room to spare, in percent."""

    setup: str
    load: str
    target: Target
    measured: float | None
    limit: float
    is_met: bool
    by: float


def verdicts(results: Results) -> list[Verdict]:
    """Of every target whose load was run; what failed missed its target."""
    return [
        verdict(setup, loads, target)
        for setup, loads in results.items()
        for target in TARGETS
        if target.load in loads and ("failed" in loads[target.load] or target.measured(loads) is not None)
    ]


def verdict(setup: str, loads: dict[str, Any], target: Target) -> Verdict:
    measured, limit = target.measured(loads), target.limit_of(setup)
    name = loads[target.load]["title"]
    if measured is None:
        return Verdict(setup, name, target, None, limit, False, 0)
    over = measured - limit if not target.is_least else limit - measured
    return Verdict(setup, name, target, measured, limit, over <= 0, 100 * abs(over) / limit if limit else 0)
