from __future__ import annotations

from random import Random

from .makes import Make

FULL = 100.0


class Vehicle:
    """An electric vehicle at a connector: how much power it wants, from its battery's state of charge.

    With `speed` its battery fills that many times sooner than its energy says: power and energy stay true to the
    clock, only the battery is in a hurry.
    """

    def __init__(self, random: Random, make: Make, speed: float = 1.0) -> None:
        self.random = random
        self.make = make
        self.speed = speed
        self.seconds_charged = 0.0
        # Whether it waits to be unplugged; others leave when they have charged.
        self.stays = False
        self.capacity = random.choice((42_000, 58_000, 64_000, 77_000))
        self.state_of_charge = random.uniform(15, 55)
        self.phases = 1 if make.direct_current else min(make.phases, random.choice((1, 3, 3, 3)))
        self.appetite = self._appetite()
        self.knee = random.uniform(60, 80) if make.direct_current else random.uniform(90, 95)

    def _appetite(self) -> float:
        if self.make.direct_current:
            return self.make.power * self.random.uniform(0.75, 1.0)
        share = self.make.power * self.phases / self.make.phases
        return min(share, self.random.choice((7_400, 11_000, 22_000)))

    @property
    def demand(self) -> float:
        """The power that it would take now, in W, without noise: a ramp, a plateau, and a fall towards full."""
        if self.state_of_charge >= FULL:
            return 0.0
        ramp = min(1.0, 0.1 + self.seconds_charged / (25 if self.make.direct_current else 4))
        return self.appetite * ramp * min(1.0, self._taper())

    def _taper(self) -> float:
        return max(0.08, (FULL - self.state_of_charge) / (FULL - self.knee))

    def noisy_demand(self) -> float:
        """`demand` as a meter would see it, at most 2 % off; the noise comes from the seed."""
        return self.demand * (1 - 0.02 * self.random.random())

    def charge(self, power: float, seconds: float) -> None:
        """Let `power` flow for `seconds`."""
        if power > 0:
            self.seconds_charged += seconds
            gained = power * seconds * self.speed / 3600 / self.capacity * 100
            self.state_of_charge = min(FULL, self.state_of_charge + gained)
