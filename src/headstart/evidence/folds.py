"""Out-of-fold answers: what a linear head says of rows that it did not learn from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import deal
from headstart.tasks import TargetSpec, Task
from headstart.tasks.linear import MOST, STRENGTHS, Problem
from headstart.tasks.matrix import Matrix, Scaled

FOLDS = 5


def out_of_fold(
    task: Task,
    spec: TargetSpec,
    features: Matrix,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int,
) -> Tensor | None:
    """Return outputs (n, outputs) of linear heads, each row's of one that did not learn from it.

    At most `MOST` rows are learnt from; the strength of regularisation is chosen once, in the first
    fold.

    Parameters
    ----------
    features
        (n, d)
    units
        (n,) rows of equal number are in one fold.

    Returns
    -------
    None where the task's heads have no solution.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(targets))
    fold_of = deal(task.strata(targets), units, order, FOLDS)
    some = np.sort(order[:MOST])
    posed = Problem.of_rows(Scaled.of(features), some)
    outputs: list[Tensor] = []
    places: list[np.ndarray] = []
    strength: float | None = None
    for fold in range(FOLDS):
        inside, held = np.flatnonzero(fold_of[some] != fold), np.flatnonzero(fold_of == fold)
        if not len(held) or not len(inside):
            continue
        learnt = some[inside]
        solved = task.solve_linear(
            posed.take(inside), targets[learnt], units[learnt], spec, seed, STRENGTHS, strength
        )
        if solved is None:
            return None
        strength = solved.strength
        weight, bias = torch.from_numpy(solved.weight), torch.from_numpy(solved.bias)
        for start in range(0, len(held), MOST):
            rows = held[start : start + MOST]
            outputs.append(torch.from_numpy(features.take(rows)) @ weight.T + bias)
            places.append(rows)
    found = torch.empty(len(targets), outputs[0].shape[1])
    found[torch.from_numpy(np.concatenate(places))] = torch.cat(outputs)
    return found
