"""Puts a linear head at its optimum on features that are fixed, or short of it."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
import torch
from torch import nn

from headstart.models.heads import LinearHead
from headstart.tasks.linear import MOST, STRENGTHS, Features
from headstart.tasks.matrix import Matrix
from headstart.training.learners import Assignment

PATH = 900
"""Sweeps over the rows from which a strength is chosen, all folds and strengths together."""
SEARCH = 400
"""Sweeps over all rows where they are read piece by piece."""
BASIS = 0.13
"""Sweeps of one entry that finding an eigenbasis takes, for each cubed dimension of it."""
UNSURE = 0.8
"""Share of a constant's loss that a head leaves at least where what is beneath it is to train."""
_HALVINGS = 20


def seconds_of_solving(rows: int, width: int, many: float) -> float:
    """Return about how long `put_at_optimum` takes.

    All steps are counted in sweeps of a feature, whose seconds are measured here once. The counts
    were measured for logistic regression, at strengths that fitted; ridge regression takes less.

    Parameters
    ----------
    rows, width
        Of the features.
    many
        Outputs in tens, at least one.
    """
    held = min(rows, MOST)
    within = min(held, width)
    sweeps = PATH * held * within * many + BASIS * within**3
    if rows > MOST:
        sweeps += SEARCH * rows * width * many
    return sweeps * _seconds_of_a_sweep()


@cache
def _seconds_of_a_sweep() -> float:
    """Return the seconds in which one feature goes into ten outputs and their gradient."""
    rows, weight = torch.ones(1024, 1024), torch.ones(1024, 10)
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        (rows @ weight).T @ rows
        seconds.append(time.perf_counter() - started)
    return min(seconds) / rows.numel()


def put_at_optimum(
    head: nn.Module,
    features: Matrix,
    assignment: Assignment,
    rows: np.ndarray | slice = slice(None),
) -> float | None:
    """Give a linear head the best weights for an assignment's rows; return the strength.

    Parameters
    ----------
    features
        (n, d) what the head reads of the training rows, of all pieces in their order.
    rows
        Which of them these are.

    Returns
    -------
    The strength of regularisation that was settled before or found now, or None where the head or
    the task has no such solution; the head is then as it was.
    """
    if not isinstance(head, LinearHead):
        return None
    found = assignment.solved(Features(features), STRENGTHS, rows)
    if found is None:
        return None
    head.load_state_dict(found.state())
    return found.strength


def draw_back(
    head: nn.Module, features: np.ndarray, assignment: Assignment, rows: np.ndarray
) -> None:
    """Draw a head from its optimum towards a constant, until it leaves `UNSURE` of that one's loss.

    At the optimum of few rows there is next to no loss, so what is beneath the head would learn
    from little but noise; and an optimiser that divides gradients by their size makes full steps
    of noise, too. A head whose optimum leaves so much loss stays there, and so does one of numbers.

    Parameters
    ----------
    features
        (m, d) what the head reads of `rows`.
    rows
        (m,) numbers of training rows, of all pieces in their order.
    """
    assert isinstance(head, LinearHead)
    task, spec = assignment.task, assignment.spec
    targets = torch.from_numpy(assignment.targets[rows])
    one = assignment.train[0].data.take([0])
    constant = task.constant(assignment.targets, spec).outputs(one)[0]
    with torch.no_grad():
        weight, bias = head.linear.weight, head.linear.bias
        best = nn.functional.linear(torch.from_numpy(features), weight.cpu(), bias.cpu())
        if task.decided(best, assignment.targets[rows]) is None:  # no probability to be sure of
            return

        def loss(share: float) -> float:
            outputs = torch.lerp(constant.expand_as(best), best, share)
            return float(task.loss(outputs, targets, spec))

        wanted = UNSURE * loss(0.0)
        if loss(1.0) >= wanted:
            return
        least, most = 0.0, 1.0
        for _ in range(_HALVINGS):
            share = (least + most) / 2
            least, most = (share, most) if loss(share) > wanted else (least, share)
        weight.mul_(least)
        bias.copy_(torch.lerp(constant, bias.cpu(), least))
