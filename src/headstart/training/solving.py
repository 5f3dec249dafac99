"""Puts a linear head at its optimum on features that are fixed."""

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
