"""How processes share the whole suite: file by file, and in one of them whatever must meet a limit of time."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# They load the machine, or have a limit of time, and so run one after another.
HEAVY = (
    "tests/benchmarks/",
    "tests/deployed/test_disk_full.py",
    "tests/deployed/test_floods.py",
    "tests/deployed/test_large_stop.py",
    "tests/deployed/test_postgresql_faults.py",
    "tests/deployed/test_reconnect_storm.py",
    "tests/deployed/test_redis_faults.py",
    "tests/deployed/test_webhooks.py",
)
# Some of these take a minute and more: first, so that no process ends with them alone.
SLOW = ("tests/deployed/", "tests/flows/test_conformance.py")


def unit(node_id: str) -> str:
    """What one process runs from beginning to end: a file, whose tests share servers, or all that is heavy."""
    return "heavy" if node_id.startswith(HEAVY) else node_id.partition("::")[0]


def order(node_id: str) -> int:
    """The longest units first, so that all processes end at the same time."""
    return 0 if unit(node_id) == "heavy" else 1 if node_id.startswith(SLOW) else 2


class Scheduler(LoadScopeScheduling):
    def _split_scope(self, node_id: str) -> str:
        return unit(node_id)
