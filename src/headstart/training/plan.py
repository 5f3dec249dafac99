"""The freeze plan: which groups of parameters train at a step, and how fast, from the step alone.

All groups exist from step 0; nothing is added later. So the state of the optimiser has one shape
for the whole run, and a run that is resumed at any step goes on as if it had never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headstart.recipes import Phase
from headstart.sources.staged import OTHERS

HEAD = "head"
WARM = 0.1
"""Share of a phase in which the learning rate rises."""
_TRAINS, _FROZEN = "█", "·"


@dataclass(frozen=True)
class FreezePlan:
    """The phases of a recipe over the steps of an epoch.

    Parameters
    ----------
    stages
        Names of the stages' groups, the first stage first. Another group that is not the head (a
        last norm) trains as the last stage does.
    """

    phases: tuple[Phase, ...]
    steps_an_epoch: int
    stages: tuple[str, ...] = ()

    @classmethod
    def over(cls, phases: Sequence[Phase], groups: Iterable[str], steps: int = 1) -> FreezePlan:
        """Return the plan for groups of these names, with so many steps an epoch."""
        stages = tuple(name for name in groups if name not in (HEAD, OTHERS))
        return cls(tuple(phases), steps, stages)

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
                shape = _shape((step - begin + 0.5) / length)
                return phase.rate * self._share(phase, group) * shape
            begin += length
        return 0.0

    def peak(self, group: str) -> float:
        """Return the highest learning rate of `group` in any phase; 0 if it never trains."""
        return max(phase.rate * self._share(phase, group) for phase in self.phases)

    def trained(self, step: int) -> list[str]:
        """Return the groups that train at `step`."""
        return [group for group in (*self.stages, HEAD) if self.rate(group, step) > 0]

    def picture(self) -> list[str]:
        """Return a line a group, the head first: a letter an epoch, a block where it trains."""
        groups = [HEAD, *reversed(self.stages)]
        width = max(map(len, groups))
        return [
            f"{group.ljust(width)}  "
            + "".join(
                (_TRAINS if self._share(phase, group) > 0 else _FROZEN) * phase.epochs
                for phase in self.phases
            )
            for group in groups
        ]

    def _share(self, phase: Phase, group: str) -> float:
        if group == HEAD:
            return 1.0
        depth = len(self.stages) - self.stages.index(group) if group in self.stages else 1
        return phase.share(depth, len(self.stages))


def _shape(progress: float) -> float:
    if progress < WARM:
        return progress / WARM
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM) / (1 - WARM)))
