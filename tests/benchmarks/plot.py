"""The CPU time of each load as bars, in SVG."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from .report import number

COLOURS = {"bare": "#9aa5b1", "application": "#2f6fab", "postgresql": "#5b9f6a", "redis": "#c9743f"}
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 960, 330, 130, 14, 14, 64

# A bar: what it is of, and its parts by name in milliseconds of CPU.
Bar = tuple[str, dict[str, float]]


def svg(report: dict[str, Any]) -> str:
    groups = grouped(report["setups"])
    longest = max((sum(parts.values()) for _, bars in groups for _, parts in bars), default=1)
    drawn, y = [], TOP
    for title, bars in groups:
        drawn.append(label(LEFT - 90, y + BAR - 3, title, "end"))
        for name, parts in bars:
            drawn += bar(y, name, parts, (WIDTH - LEFT - RIGHT) / longest)
            y += BAR + 2
        y += GAP
    head = [label(12, 22, "Milliseconds of CPU per unit of work, all server processes", "start", 15), *legend()]
    described = f"{report['label']}: {report['machine']}, {report['date']}"
    return "\n".join([opening(y + 24), *head, *drawn, label(12, y + 12, described, "start", 11), "</svg>\n"])


def grouped(setups: dict[str, Any]) -> list[tuple[str, list[Bar]]]:
    """The bars of each load that has a cost: bare once, then each set-up."""
    found: dict[str, list[Bar]] = {}
    for setup, loads in setups.items():
        for load in loads.values():
            bars = found.setdefault(load["title"], [])
            if "cpu" in load.get("bare", {}) and not bars:
                bars.append(("bare", {"bare": load["bare"]["cpu"]}))
            if "cpu" in load.get("product", {}):
                bars.append((setup, costs(load["product"])))
    return [(title, bars) for title, bars in found.items() if bars]


def costs(figures: dict[str, float]) -> dict[str, float]:
    return {name: figures[f"cpu_{name}"] for name in COLOURS if f"cpu_{name}" in figures}


def bar(y: int, name: str, parts: dict[str, float], scale: float) -> list[str]:
    drawn, x = [label(LEFT - 8, y + BAR - 3, name, "end", 11)], float(LEFT)
    for part, cost in parts.items():
        drawn.append(box(x, y, cost * scale, COLOURS[part]))
        x += cost * scale
    return [*drawn, label(x + 6, y + BAR - 3, f"{number(sum(parts.values()))} ms", "start", 11)]


def legend() -> list[str]:
    drawn = []
    for position, (name, colour) in enumerate(COLOURS.items()):
        x = 12 + 120 * position
        drawn += [box(x, 34, 12, colour), label(x + 18, 45, name, "start", 11)]
    return drawn


def opening(height: int) -> str:
    fonts = "font-family='system-ui, sans-serif' fill='#1f2933'"
    size = f"width='{WIDTH}' height='{height}' viewBox='0 0 {WIDTH} {height}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size} {fonts}>\n{box(0, 0, WIDTH, '#ffffff', height)}"


def box(x: float, y: int, width: float, colour: str, height: int = BAR) -> str:
    return f"<rect x='{x:.1f}' y='{y}' width='{max(width, 0.5):.1f}' height='{height}' fill='{colour}'/>"


def label(x: float, y: int, words: str, anchor: str, size: int = 12) -> str:
    return f"<text x='{x:.1f}' y='{y}' font-size='{size}' text-anchor='{anchor}'>{escape(words)}</text>"
