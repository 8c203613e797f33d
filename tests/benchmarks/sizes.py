"""How much each load does: in full, quickly, or only to show that all of it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Sizes:
    rounds: int = 3
    connections: int = 50
    warm_up: float = 2
    seconds: float = 10
    commanded: int = 200  # charge points that commands are spread over: ten a second are each one's limit
    commands_at_once: int = 16
    in_flight: int = 1_000
    idle: int = 1_000
    idle_many: int = 10_000
    idle_seconds: float = 60  # three of the pings of either server, for which a part of an interval would not tell
    quiet_seconds: float = 12  # until nothing is left to do for those who have just connected
    handshakes: int = 1_000
    boots: int = 1_000
    fleets: tuple[int, int, int] = (100, 10_000, 100_000)
    requests: int = 200
    meter_values: tuple[int, int] = (1_000, 10_000_000)
    day: int = 2_000
    day_seconds: float = 600
    day_rounds: int = 1


FULL = Sizes()
QUICK = replace(
    FULL, warm_up=1, seconds=4, idle_many=0, idle_seconds=40, requests=50, meter_values=(1_000, 500_000), day_seconds=60
)
TINY = Sizes(
    rounds=1,
    connections=2,
    warm_up=0.1,
    seconds=1,
    commanded=60,  # four would be past their limit at 40 commands a second
    commands_at_once=2,
    in_flight=3,
    idle=3,
    idle_many=4,
    idle_seconds=0.2,
    quiet_seconds=0.1,
    handshakes=4,
    boots=3,
    fleets=(2, 4, 60),
    requests=20,  # CPU time is told in hundredths of a second
    meter_values=(10, 200),
    day=100,  # fewer might say nothing in that time
    day_seconds=3,
)
