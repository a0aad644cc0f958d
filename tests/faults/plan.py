"""Draws the plan of faults from a seed alone. The same seed gives the same plan."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.faults.faults import Fault

OVERLAPPING = 0.5  # of all steps
# A fault that is over at once still has consequences. A second fault may come during them.
CONSEQUENCES_SECONDS = 4.0
PAUSE_SECONDS = (1.0, 6.0)


@dataclass(frozen=True)
class Drawn:
    fault: Fault
    begins_seconds: float  # after the step's begin
    lasts_seconds: float


@dataclass(frozen=True)
class Step:
    """One fault or two, and the pause between the recovery from them and the next step."""

    faults: tuple[Drawn, ...]
    pause_seconds: float

    @property
    def what(self) -> str:
        return " + ".join(drawn.fault.what for drawn in self.faults)


def plan(kinds: Sequence[Fault], seed: int, overlapping: float = OVERLAPPING) -> Iterator[Step]:
    """Endless steps. Each fault comes first in one step before any fault comes first in a second step."""
    draw, waiting = random.Random(seed), list[Fault]()
    while True:
        waiting = waiting or draw.sample(kinds, len(kinds))
        first = _drawn(draw, waiting.pop(), 0.0)
        faults: tuple[Drawn, ...] = (first,)
        others = [fault for fault in kinds if not fault.touches & first.fault.touches]
        if others and draw.random() < overlapping:
            begins_seconds = draw.uniform(0, first.lasts_seconds or CONSEQUENCES_SECONDS)
            faults = (first, _drawn(draw, draw.choice(others), begins_seconds))
        yield Step(faults, draw.uniform(*PAUSE_SECONDS))


def _drawn(draw: random.Random, fault: Fault, begins_seconds: float) -> Drawn:
    return Drawn(fault, begins_seconds, draw.uniform(*fault.seconds))
