"""Rounds of each load, on the bare server and the product in turn, and their medians."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from .job import Failed, Figures
from .loads import LOADS, Load
from .sizes import Sizes
from .systems import SETUPS, Bare, Product, System, bare

# By set-up and load: its title, the medians of the product and of bare, and every round; or why it failed.
Results = dict[str, dict[str, dict[str, Any]]]


def measure(setup: str, names: list[str], sizes: Sizes) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each load with its result, as soon as there is one."""
    say(f"{setup}: starting ...")
    # Not below a folder of one user alone: PostgreSQL runs as another where this runs as root.
    folder = TemporaryDirectory(prefix="dynamo-benchmark-")
    with folder as path, SETUPS[setup](Path(path)) as system, bare() as floor:
        for number, name in enumerate(names, 1):
            say(f"{setup}, {number} of {len(names)}: {title(LOADS[name], sizes)}")
            try:
                yield name, of_load(LOADS[name], system, floor, sizes)
            except Failed as failure:
                say(f"    failed: {failure}")
                yield name, {"title": title(LOADS[name], sizes), "failed": str(failure)}
                system.restart()


def of_load(load: Load, system: Product, floor: Bare, sizes: Sizes) -> dict[str, Any]:
    load.prepare(system, sizes)
    system.settle()
    both: dict[str, System] = {"bare": floor, "product": system} if load.has_bare else {"product": system}
    rounds: dict[str, list[Figures]] = {name: [] for name in both}
    for number in range(load.rounds(sizes)):
        for name, measured in both.items():
            if load.is_fresh:
                measured.restart()
            figures = load.measure(measured, sizes)
            rounds[name].append(figures)
            say(f"    round {number + 1}, {name}: {shown(figures)}")
    return {"title": title(load, sizes), **{name: medians(done) for name, done in rounds.items()}, "rounds": rounds}


def title(load: Load, sizes: Sizes) -> str:
    return load.title.format(**asdict(sizes))


def medians(rounds: list[Figures]) -> Figures:
    return {name: median(figures[name] for figures in rounds) for name in rounds[0]}


def shown(figures: Figures) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
