"""The benchmark as a whole: what is chosen is measured, told and written down."""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from django.core.management import CommandError

from tests.deployed.services import missing
from tests.servers import ROOT

from . import plot, report
from .loads import LOADS
from .measuring import Results, measure, say
from .sizes import Sizes
from .systems import SETUPS

FOREIGN = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE")


def run(sizes: Sizes, *, setups: list[str], only: list[str], label: str, files: dict[str, str]) -> str:
    """Measure, write the files (`json`, `svg`) and return the report as text."""
    forget_set_up()
    logging.disable(logging.INFO)
    names, results = chosen(only, sizes), Results()
    found = {"label": label or version(), "machine": machine(), "date": time.strftime("%Y-%m-%d"), "setups": results}
    for setup in usable(setups):
        results[setup] = {}
        for name, result in measure(setup, names, sizes):
            results[setup][name] = result
            write(files, found)  # a long run that is interrupted leaves what it has
    return report.text(found)


def write(files: dict[str, str], found: dict[str, Any]) -> None:
    if files["json"]:
        Path(files["json"]).write_text(json.dumps(found, indent=1) + "\n")
    if files["svg"]:
        Path(files["svg"]).write_text(plot.svg(found))


def forget_set_up() -> None:
    """Nothing of the caller's set-up may decide what is measured."""
    for name in [*os.environ]:
        if name in FOREIGN or name.startswith("DYNAMO_"):
            del os.environ[name]


def usable(setups: list[str]) -> list[str]:
    """Those set-ups, or all, of which this machine has the programs."""
    if not missing():
        return setups or [*SETUPS]
    say(f"Without the production set-up: it needs {missing()} on this machine.")
    return [setup for setup in setups or SETUPS if setup != "production"]


def chosen(only: list[str], sizes: Sizes) -> list[str]:
    """The loads named, whole or by how their names begin, that have something to do."""
    for start in only:
        if not any(name.startswith(start) for name in LOADS):
            raise CommandError(f"No load is named {start}. They are: {', '.join(LOADS)}.")
    names = [name for name in LOADS if not only or name.startswith(tuple(only))]
    return [name for name in names if sizes.idle_many or name != "idle_many"]


def version() -> str:
    git = ["git", "describe", "--always", "--dirty"]
    found = subprocess.run(git, cwd=ROOT, capture_output=True, text=True)
    return f"Dynamo {found.stdout.strip()}".strip()


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names: list[Any] = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    load = f"load average {os.getloadavg()[0]:.1f} at the start"
    return f"{os.cpu_count()} cores of {processor}, Python {platform.python_version()}, {load}"
