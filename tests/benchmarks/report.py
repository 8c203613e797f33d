"""The report of a measurement, as tables of Markdown that a terminal shows as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .measuring import Results
from .targets import Verdict, verdicts

UNITS = {
    "cpu": "ms CPU",
    "p50": "ms p50",
    "p99": "ms p99",
    "rate": "/s",
    "seconds": "s",
    "kilobytes": "kB each",
    "percent": "% of a core per 1,000",
    "lost": "lost",
    "queries": "queries",
    "growth": "% more memory",
}
HEAD = (
    "load",
    "per second",
    "p50 ms",
    "p99 ms",
    "CPU ms",
    "of it PostgreSQL",
    "Redis",
    "bare CPU ms",
    "times bare",
    "memory",
)


def text(report: dict[str, Any]) -> str:
    results: Results = report["setups"]
    parts = [f"{report['label']}: {report['machine']}, {report['date']}"]
    for setup, loads in results.items():
        parts += [f"{setup.capitalize()}", table(HEAD, (row(load) for load in loads.values()))]
    parts += ["What it must show", table(("set-up", "load", "measured", "limit", ""), map(judged, verdicts(results)))]
    return "\n\n".join(parts)


def row(load: dict[str, Any]) -> list[str]:
    if "failed" in load:
        return [load["title"], "failed", *[""] * (len(HEAD) - 2)]
    product, bare = load["product"], load.get("bare", {})
    names = ("rate", "p50", "p99", "cpu", "cpu_postgresql", "cpu_redis")
    cells = [number(product.get(name)) for name in names]
    ratio = product["cpu"] / bare["cpu"] if bare.get("cpu") and "cpu" in product else None
    return [load["title"], *cells, number(bare.get("cpu")), number(ratio), memory(product, bare)]


def memory(product: dict[str, float], bare: dict[str, float]) -> str:
    if "growth" in product:
        return f"{product['megabytes']:.0f} MB, {product['growth']:+.1f} %"
    if "kilobytes" not in product:
        return ""
    beside = f" (bare {number(bare['kilobytes'])})" if bare else ""
    return f"{number(product['kilobytes'])} kB each{beside}"


def judged(verdict: Verdict) -> list[str]:
    target = verdict.target
    unit = f"times {target.times.replace('_', ' ')}, {UNITS[target.figure]}" if target.times else UNITS[target.figure]
    limit = f"{'>=' if target.is_least else '<='} {number(verdict.limit)} {unit}"
    if verdict.measured is None:
        return [verdict.setup, verdict.load, "failed", limit, "MISSED"]
    word = f"met, {verdict.by:.0f} % to spare" if verdict.is_met else f"MISSED by {verdict.by:.0f} %"
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
