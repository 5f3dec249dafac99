"""The learning-rate range test: how fast a network can learn, from one short course of steps.

Smith, Cyclical Learning Rates for Training Neural Networks, WACV 2017.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from headstart.recipes import Norm, Phase
from headstart.training.descent import Descent, Diverged, hold_statistics
from headstart.training.memory import AtOnce
from headstart.training.plan import FreezePlan

STEPS = 30
LOWEST, HIGHEST = 1 / 128, 8.0
"""Of a plan's highest rates, at the first step and at the last."""
SMOOTHING = 0.7
"""Share of a running mean of losses that stays at each step."""
RISEN = 1.5
"""How many times its least the loss is at least where rates are too high."""
NOTHING = 0.1
"""A loss so small that several times as much is none either."""
BACK = 4.0
"""How many times lower than such rates are those to learn at."""
LEAST, MOST = LOWEST, HIGHEST / BACK
"""By which rates are multiplied at least, and at most."""


def range_test(
    module: nn.Module,
    groups: Mapping[str, Sequence[nn.Parameter]],
    phases: Sequence[Phase],
    rows: int,
    batch: int,
    step: Callable[[Tensor, int], Tensor],
    *,
    optimizer: Literal["adamw", "sgd"],
    norm: Norm,
    at_once: AtOnce,
    seed: int,
    late: Callable[[], bool] = lambda: False,
) -> float:
    """Return by what the learning rates of a plan are best multiplied; the weights stay.

    Rates rise by the same factor from step to step. The loss falls, and then rises: where it is
    again what the weights as they were gave of the same batches, rates are too high, and a quarter
    of them is about right.
    Where it never rises, rows are told apart at any rate, which is no reason for another one.

    Parameters
    ----------
    groups, phases, rows, batch, step, optimizer, norm, at_once
        As for `train`.
    late
        Says whether the deadline has come: rates are then as they are.
    """
    plan = FreezePlan.over(phases, groups)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    descent = Descent(groups, optimizer, 0.0, "zero")
    random = np.random.default_rng([seed, STEPS])
    torch.manual_seed(int(random.integers(2**62)))
    batches = [torch.from_numpy(random.permutation(rows)[:batch]) for _ in range(STEPS)]
    least, number = math.inf, 0
    at_first, now = _Running(), _Running()
    module.train()
    hold_statistics(module, always=True)
    try:
        with torch.no_grad():
            first = [_loss(step, taken, at_once) for taken in batches]
        for number, taken in enumerate(batches):
            if late():
                return 1.0
            descent.set_rates(partial(_raised, plan, number))
            hold_statistics(module, norm == "frozen")
            now.take(descent.step(step, taken, 0, at_once))
            at_first.take(first[number])
            times = (now.mean + NOTHING) / (at_first.mean + NOTHING)
            least = min(least, times)
            if times > max(1.0, RISEN * least):
                break
        else:
            return 1.0
    except Diverged:
        pass
    finally:
        module.load_state_dict(before)
    return min(MOST, max(LEAST, factor(number) / BACK))


@dataclass
class _Running:
    """A running mean."""

    mean: float = 0.0
    taken: int = 0

    def take(self, value: float) -> None:
        self.taken += 1
        stays = min(SMOOTHING, 1 - 1 / self.taken)
        self.mean = stays * self.mean + (1 - stays) * value


def _loss(step: Callable[[Tensor, int], Tensor], taken: Tensor, at_once: AtOnce) -> float:
    """Return the loss of a batch."""
    return sum(at_once.over(taken, lambda some: step(some, 0).item() * len(some) / len(taken)))


def factor(number: int) -> float:
    """Return by what rates are multiplied at a step."""
    return LOWEST * math.pow(HIGHEST / LOWEST, number / (STEPS - 1))


def _raised(plan: FreezePlan, number: int, group: str) -> float:
    return factor(number) * plan.peak(group)
