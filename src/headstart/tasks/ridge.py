"""The linear probe of numbers: multi-output ridge regression on frozen features, solved exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import deal
from headstart.tasks import linear
from headstart.tasks.linear import AnyProblem, Features, LinearSolution, SparseProblem
from headstart.tasks.matrix import Array, Matrix, Scaled, add_products, decompose, spread

STRENGTHS = tuple(float(10 ** (half / 2)) for half in range(-12, 5))
"""Inverse strengths of L2 regularisation tried, on scaled features and standardised targets (one
over scikit-learn's alpha), the strongest penalty first."""
FOLDS = 5
PAST = 1.1
"""Held-out error, as a multiple of the least, at which weaker penalties are no longer tried."""


def solve_ridge(
    problem: AnyProblem,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int,
    strength: float | None = None,
) -> LinearSolution:
    """Fit ridge regression to standardised targets.

    Parameters
    ----------
    targets
        (n, k) one or more outputs a row, finite; one strength serves all of them.
    units
        (n,) rows of equal number stay in one fold.
    seed
        Of the order in which rows are dealt into folds.
    strength
        Inverse regularisation strength; None chooses the one of `STRENGTHS` with the least
        cross-validated squared error.
    """
    if isinstance(problem, Features):
        rows = Scaled.of(problem.matrix)
        found, mean, strength, answers = _solved(rows, targets, units, seed, strength)
        weight = found / rows.scale
        bias = mean - weight @ rows.mean
        return LinearSolution(weight.astype(np.float32), bias.astype(np.float32), strength, answers)
    if isinstance(problem, SparseProblem):
        if strength is None:
            some, few = problem.some(seed)
            strength = solve_ridge(few, targets[some], units[some], seed).strength
        return _from_sparse(problem.features, targets, strength)
    coordinates = problem.rows[:, :-1].numpy()
    width = coordinates.shape[1]
    as_it_is = Scaled(Array(coordinates), np.zeros(width), np.ones(width))
    found, mean, strength, answers = _solved(as_it_is, targets, units, seed, strength)
    bias = mean - found @ coordinates.mean(0, dtype=np.float64)
    both = torch.from_numpy(np.column_stack([found, bias]).T).float()
    weight, bias = problem.in_features(both)
    return LinearSolution(weight.astype(np.float32), bias.astype(np.float32), strength, answers)


def _solved(
    rows: Scaled, targets: np.ndarray, units: np.ndarray, seed: int, strength: float | None
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray | None]:
    """Return weights (k, d) on scaled rows, the targets' mean (k,), the strength, and answers.

    The answers are those to held-out rows, where all rows were held out to choose the strength.
    """
    mean, scale = targets.mean(0, dtype=np.float64), spread(targets.std(0, dtype=np.float64))
    wanted = torch.from_numpy((targets - mean) / scale).double()
    answers = None
    if strength is None:
        strength, found = _cross_validated(rows, wanted, units, seed, STRENGTHS)
        answers = None if found is None else (found * scale + mean).astype(np.float32)
    weight = _optimum(rows, wanted, 1 / strength).T.numpy() * scale[:, None]
    return weight, mean, strength, answers


def _from_sparse(features: Any, targets: np.ndarray, strength: float) -> LinearSolution:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / strength, solver="sparse_cg", tol=1e-4).fit(features, targets)
    weight, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    return LinearSolution(weight.astype(np.float32), bias.astype(np.float32), strength)


def _optimum(rows: Scaled, wanted: Tensor, penalty: float) -> Tensor:
    """Return the weights (d, k) on scaled features, through the smaller Gram matrix.

    The features are read piece by piece: once where it is that of the channels, else once for each
    `MOST` rows and once more.
    """
    n, d = rows.matrix.shape
    answers = wanted.numpy()
    if n < d:
        values, left = np.linalg.eigh(_products_of_rows(rows))
        shrunk = left @ ((left.T @ answers) / (values.clip(0) + penalty)[:, None])
        found = np.zeros((d, answers.shape[1]))
        for some, scaled in rows.pieces():
            found += scaled.T @ shrunk[some]
        return torch.from_numpy(found)
    gram = np.zeros((d, d), order="F")
    moment = np.zeros((d, answers.shape[1]))
    for some, scaled in rows.pieces():
        add_products(gram, scaled)
        moment += scaled.T @ answers[some]
    values, right = np.linalg.eigh(gram, UPLO="U")
    shrunk = (right.T @ moment) / (values.clip(0) + penalty)[:, None]
    return torch.from_numpy(right @ shrunk)


def _products_of_rows(rows: Scaled) -> np.ndarray:
    """Return the scalar products (n, n) of scaled rows."""
    n = rows.matrix.shape[0]
    found = np.empty((n, n))
    for start in range(0, n, linear.MOST):
        block = rows.take(np.arange(start, min(n, start + linear.MOST)))
        for some, scaled in rows.pieces():
            found[start : start + len(block), some] = block @ scaled.T
    return found


def held_out(
    matrix: Matrix, targets: np.ndarray, units: np.ndarray, seed: int
) -> np.ndarray | None:
    """Return what ridge regression says of each row that did not learn from it, (n, k) float64.

    It is None where rows cannot be held out, since they all belong together.

    The strength is every second one's with the least squared error: answers hardly differ between
    neighbours. Rows beyond `MOST` are refused.

    Parameters
    ----------
    targets
        (n, k) float, at one scale.
    """
    rows = Scaled.of(matrix)
    assert len(targets) <= linear.MOST
    wanted = torch.from_numpy(targets).double()
    _, found = _cross_validated(rows, wanted, units, seed, STRENGTHS[::2])
    return found


def _cross_validated(
    rows: Scaled, wanted: Tensor, units: np.ndarray, seed: int, strengths: tuple[float, ...]
) -> tuple[float, np.ndarray | None]:
    """Return the strength with the least squared error over held-out folds, and what it answers.

    The answers (n, k) to held-out rows are None unless all rows are held out once.
    """
    some, residuals = _held_out(rows, wanted, units, seed, strengths)
    which, best = _least(residuals)
    if best is None or len(some) < len(wanted):
        return strengths[which], None
    found = np.empty(wanted.shape)
    found[some] = (wanted[some] - best).numpy()
    return strengths[which], found


def _least(residuals: Iterator[Tensor]) -> tuple[int, Tensor | None]:
    """Return which residuals have the least squares, and them; of none, the first and None.

    Weaker penalties than one whose error is clearly past the least are not tried.
    """
    which, best, least = 0, None, math.inf
    for number, residual in enumerate(residuals):
        error = float(residual.square().sum())
        if error < least:
            which, best, least = number, residual, error
        elif error > PAST * least:
            break
    return which, best


def _held_out(
    rows: Scaled,
    wanted: Tensor,
    units: np.ndarray,
    seed: int,
    strengths: tuple[float, ...],
) -> tuple[np.ndarray, Iterator[Tensor]]:
    """Return at most `MOST` rows, and for each strength their residuals, each when held out.

    The residuals of a held-out fold follow from those of the fit to all rows: they are
    ``(I - H)^-1 r`` with the fold's block of the hat matrix and the fold's residuals (Hastie,
    Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 7.10, for
    folds of one row), so that one decomposition serves all folds and strengths. There are none if
    there is one unit.
    """
    order = np.random.default_rng(seed).permutation(len(wanted))
    some = order[: linear.MOST]
    fold_of = deal(np.zeros(len(wanted)), units, order, FOLDS)[some]
    folds = [np.flatnonzero(fold_of == fold) for fold in range(FOLDS)]
    folds = [fold for fold in folds if 0 < len(fold) < len(some)]
    return some, _residuals(rows, wanted[some], some, folds, len(wanted), strengths)


def _residuals(
    rows: Scaled,
    wanted: Tensor,
    some: np.ndarray,
    folds: list[np.ndarray],
    everything: int,
    strengths: tuple[float, ...],
) -> Iterator[Tensor]:
    if not folds:
        return
    scaled = rows.take(some)
    squares, left = map(torch.from_numpy, decompose(scaled - scaled.mean(0)))
    centred = wanted - wanted.mean(0)
    for strength in strengths:
        # fewer rows ask for a weaker penalty on their sum of losses: keep its weight a row
        penalty = len(some) / (strength * everything)
        shrinkage = squares / (squares + penalty)
        residual = centred - left @ (shrinkage[:, None] * (left.T @ centred))
        for fold in folds:
            residual[fold] = _when_held_out(left[fold], shrinkage, residual[fold], len(some))
        yield residual


def _when_held_out(left: Tensor, shrinkage: Tensor, residual: Tensor, rows: int) -> Tensor:
    """Return the residuals of a fold if its rows were not fitted to."""
    hat = (left * shrinkage) @ left.T + 1 / rows  # the last for the mean, which is not penalised
    there = torch.eye(len(residual), dtype=torch.float64)
    return torch.linalg.solve(there - hat, residual)
