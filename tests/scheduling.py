"""How two processes share the whole suite: file by file, and in one of them whatever must meet a limit of time."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# They load the machine, or have a limit of time, and so run one after another.
HEAVY = ("tests/deployed/", "tests/benchmarks/")


def unit(node_id: str) -> str:
    """What one process runs from beginning to end: a file, whose tests share servers, or all that is heavy."""
    return "heavy" if node_id.startswith(HEAVY) else node_id.partition("::")[0]


class Scheduler(LoadScopeScheduling):
    def _split_scope(self, node_id: str) -> str:
        return unit(node_id)
