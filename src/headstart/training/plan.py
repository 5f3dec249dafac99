"""The freeze plan: which groups of parameters train at a step, and how fast, from the step alone.

All groups exist from step 0; nothing is added later. So the state of the optimiser has one shape
for the whole run, and a run that is resumed at any step goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.recipes import Phase

HEAD = "head"
WARM = 0.1
"""Share of a phase in which the learning rate rises."""


@dataclass(frozen=True)
class FreezePlan:
    """The phases of a recipe over the steps of an epoch."""

    phases: tuple[Phase, ...]
    steps_an_epoch: int

    @property
    def steps(self) -> int:
        """Return the number of steps of all phases."""
        return self.steps_an_epoch * sum(phase.epochs for phase in self.phases)

    def rate(self, group: str, step: int) -> float:
        """Return the learning rate of `group` at `step`; 0 is frozen."""
        begin = 0
        for phase in self.phases:
            length = phase.epochs * self.steps_an_epoch
            if step < begin + length:
                body = phase.body if phase.train == "all" else 0.0
                share = 1.0 if group == HEAD else body
                return phase.rate * share * _shape((step - begin + 0.5) / length)
            begin += length
        return 0.0

    def trained(self, groups: Sequence[str], step: int) -> list[str]:
        """Return the groups that train at `step`."""
        return [group for group in groups if self.rate(group, step) > 0]


def _shape(progress: float) -> float:
    if progress < WARM:
        return progress / WARM
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM) / (1 - WARM)))
