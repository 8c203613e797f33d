"""The report of a measurement, as tables of Markdown that a terminal shows as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .job import Figures
from .loads import PLACES
from .measuring import Results
from .targets import Verdict, verdicts

UNITS = {
    "cpu": "ms CPU",
    "p50": "ms p50",
    **{f"p50_{name}": f"ms p50, {name} page" for name in PLACES},
    **{f"p50_charging_{name}": f"ms p50, {name} page of those that charge" for name in PLACES},
    **{f"p50_available_{name}": f"ms p50, {name} page of those that are available" for name in PLACES},
    "p50_rare": "ms p50, the one of a status",
    "p99": "ms p99",
    "rate": "/s",
    "seconds": "s",
    "kilobytes": "kB each",
    "percent": "% of a core per 1,000",
    "added": "% of a core that 1,000 add",
    "lost": "lost",
    "queries": "queries",
    "growth": "% more memory",
    "p50_times": "times the p50 of few",
    "cpu_times": "times the CPU of few",
}
HEAD = ("load", "per second", "p50 ms", "p99 ms", "CPU ms", "of it PostgreSQL", "of it Redis", "memory MB", "further")


def text(report: dict[str, Any]) -> str:
    results: Results = report["setups"]
    parts = [f"{report['label']}: {report['machine']}, {report['date']}"]
    for setup, loads in results.items():
        parts += [f"{setup.capitalize()}", table(HEAD, (row(load) for load in loads.values()))]
    parts += ["What it must show", table(("set-up", "load", "measured", "limit", ""), map(judged, verdicts(results)))]
    return "\n\n".join(parts)


def row(load: dict[str, Any]) -> list[str]:
    """A load's figures, with those that bare has as well as multiples of them."""
    if "failed" in load:
        return [load["title"], "failed", *[""] * (len(HEAD) - 2)]
    product, bare = load["product"], load.get("bare", {})
    names = ("rate", "p50", "p99", "cpu", "cpu_postgresql", "cpu_redis", "megabytes")
    return [load["title"], *(beside(product.get(name), bare.get(name)) for name in names), further(product, bare)]


def beside(value: float | None, floor: float | None) -> str:
    return f"{number(value)} ({number(value / floor)} x)" if value is not None and floor else number(value)


def further(product: Figures, bare: Figures) -> str:
    """What only some loads are about."""
    names = ("seconds", "kilobytes", "percent", "added", "queries", "growth", "lost", "p50_times", "cpu_times")
    return ", ".join(f"{beside(product[name], bare.get(name))} {UNITS[name]}" for name in names if name in product)


def judged(verdict: Verdict) -> list[str]:
    target = verdict.target
    unit = f"times {target.times.replace('_', ' ')}, {UNITS[target.figure]}" if target.times else UNITS[target.figure]
    limit = f"{'>=' if target.is_least else '<='} {number(verdict.limit)} {unit}"
    if verdict.measured is None:
        return [verdict.setup, verdict.load, "failed", limit, "MISSED"]
    word = "met" if verdict.is_met else "MISSED"
    if verdict.limit:
        word += f", {verdict.by:.0f} % to spare" if verdict.is_met else f" by {verdict.by:.0f} %"
    return [verdict.setup, verdict.load, number(verdict.measured), limit, word]


def number(value: float | None) -> str:
    """Three significant digits."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    lines = [list(head), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [line(cells, widths, str.ljust) for cells in lines]
    return "\n".join([shown[0], line(["-" * width for width in widths], widths, str.ljust), *shown[1:]])


def line(cells: list[str], widths: list[int], justify: Callable[[str, int], str]) -> str:
    return "| " + " | ".join(justify(cell, width) for cell, width in zip(cells, widths, strict=True)) + " |"
