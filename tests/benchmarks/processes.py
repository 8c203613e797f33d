"""What processes have cost: CPU time and memory of whole process trees, read from /proc (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
# Of the fields after the name in /proc/PID/stat: utime and stime, and both of the children that ended (man 5 proc).
PARENT, TIMES = 1, slice(11, 15)

# The first processes of each part of a system, by the part's name.
Groups = dict[str, list[int]]


def stats() -> dict[int, list[str]]:
    """The fields after the name, of every process."""
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                found[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # ended meanwhile
                continue
    return found


def tree(roots: Iterable[int], processes: dict[int, list[str]]) -> set[int]:
    """The roots that live, and all that descend from them."""
    found: set[int] = set()
    wanted = set(roots) & processes.keys()
    while wanted:
        found |= wanted
        wanted = {pid for pid, fields in processes.items() if int(fields[PARENT]) in wanted}
    return found


def cpu_seconds(groups: Groups) -> dict[str, float]:
    """CPU time of each group until now, that of children which ended included."""
    processes = stats()
    return {
        name: sum(int(ticks) for pid in tree(roots, processes) for ticks in processes[pid][TIMES]) / TICKS
        for name, roots in groups.items()
    }


def memory(roots: Iterable[int]) -> int:
    """Bytes that the trees of these processes hold, what several share divided among them (PSS)."""
    return sum(proportional_set_size(pid) for pid in tree(roots, stats()))


def proportional_set_size(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
