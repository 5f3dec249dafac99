"""Out-of-fold answers: what a linear head says of rows that it did not learn from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.tasks import TargetSpec, Task
from headstart.tasks.linear import MOST, STRENGTHS, Problem
from headstart.tasks.matrix import Matrix, Scaled


def out_of_fold(
    task: Task,
    spec: TargetSpec,
    features: Matrix,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int,
) -> Tensor | None:
    """Return outputs (n, outputs) of linear heads, each row's of one that did not learn from it.

    At most `MOST` rows are learnt from, in folds; the others are answered by the head of all of
    these. The strength of regularisation is the one under which the folds are answered best.

    Parameters
    ----------
    features
        (n, d)
    units
        (n,) rows of equal number are in one fold.

    Returns
    -------
    None where the task's heads have no solution, or nothing can be held out.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(targets))
    some, others = np.sort(order[:MOST]), np.sort(order[MOST:])
    posed = Problem.of_rows(Scaled.of(features), some)
    solved = task.solve_linear(posed, targets[some], units[some], spec, seed, STRENGTHS, None)
    if solved is None or solved.held_out is None:
        return None
    found = torch.empty(len(targets), solved.held_out.shape[1])
    found[torch.from_numpy(some)] = torch.from_numpy(solved.held_out)
    weight, bias = torch.from_numpy(solved.weight), torch.from_numpy(solved.bias)
    for start in range(0, len(others), MOST):
        rows = others[start : start + MOST]
        found[torch.from_numpy(rows)] = torch.from_numpy(features.take(rows)) @ weight.T + bias
    return found
