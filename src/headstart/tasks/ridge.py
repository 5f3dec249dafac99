"""The linear probe of numbers: multi-output ridge regression on frozen features, solved exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import deal
from headstart.tasks import linear
from headstart.tasks.linear import AnyProblem, Features, LinearSolution, SparseProblem

STRENGTHS = tuple(float(10 ** (half / 2)) for half in range(-12, 5))
"""Inverse strengths of L2 regularisation tried, on standardised features and targets (one over
scikit-learn's alpha), the strongest penalty first."""
FOLDS = 5
LEAST = 0.3
"""Share of the channels' median deviation that is the least by which a channel is divided."""
PAST = 1.1
"""Held-out error, as a multiple of the least, at which weaker penalties are no longer tried."""
_CHUNK = 4_096
"""Rows that are held in double precision at a time, where the Gram matrix is of the channels."""
_FLAT = 1e-6
"""Standard deviation below which a channel or an output counts as constant."""


def solve_ridge(
    features: np.ndarray,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int,
    strength: float | None = None,
) -> LinearSolution:
    """Fit ridge regression on standardised features to standardised targets.

    Parameters
    ----------
    features
        (n, d) float32.
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
    return _solved_as(_Standard.of(features), targets, units, seed, strength)


def _solved_as(
    rows: _Standard, targets: np.ndarray, units: np.ndarray, seed: int, strength: float | None
) -> LinearSolution:
    found, mean, strength = _solved(rows, targets, units, seed, strength)
    weight = found / rows.scale
    bias = mean - weight @ rows.mean
    return LinearSolution(weight.astype(np.float32), bias.astype(np.float32), strength)


def solve_problem(
    problem: AnyProblem,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int,
    strength: float | None = None,
) -> LinearSolution:
    """Fit ridge regression to a problem as it is posed.

    Dense features are standardised, but no channel by less than `LEAST` of what is usual: one that
    lies still in almost all training rows could otherwise move an answer without bound where it
    stirs. Parameters are those of `solve_ridge`.
    """
    if isinstance(problem, Features):
        rows = _Standard.of(problem.values)
        stirring = rows.scale[rows.scale != 1.0]
        usual = np.median(stirring) if len(stirring) else 1.0
        rows = replace(rows, scale=np.maximum(rows.scale, LEAST * usual))
        return _solved_as(rows, targets, units, seed, strength)
    if isinstance(problem, SparseProblem):
        if strength is None:
            some, few = problem.some(seed)
            strength = solve_problem(few, targets[some], units[some], seed).strength
        return _from_sparse(problem.features, targets, strength)
    coordinates = problem.rows[:, :-1].numpy()
    width = coordinates.shape[1]
    as_it_is = _Standard(coordinates, np.zeros(width), np.ones(width))
    found, mean, strength = _solved(as_it_is, targets, units, seed, strength)
    bias = mean - found @ coordinates.mean(0, dtype=np.float64)
    both = torch.from_numpy(np.column_stack([found, bias]).T).float()
    weight, bias = problem.in_features(both)
    return LinearSolution(weight.astype(np.float32), bias.astype(np.float32), strength)


def _solved(
    rows: _Standard, targets: np.ndarray, units: np.ndarray, seed: int, strength: float | None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return weights (k, d) on standardised rows, the targets' mean (k,), and the strength."""
    mean, scale = targets.mean(0, dtype=np.float64), _spread(targets.std(0, dtype=np.float64))
    wanted = torch.from_numpy((targets - mean) / scale).double()
    if strength is None:
        strength = _cross_validated(rows, wanted, units, seed)
    return _optimum(rows, wanted, 1 / strength).T.numpy() * scale[:, None], mean, strength


def _from_sparse(features: Any, targets: np.ndarray, strength: float) -> LinearSolution:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1 / strength, solver="sparse_cg", tol=1e-4).fit(features, targets)
    weight, bias = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    return LinearSolution(weight.astype(np.float32), bias.astype(np.float32), strength)


@dataclass(frozen=True)
class _Standard:
    """Features with the mean and scale that standardise them, in double precision piece by piece.

    The rows stay as they are given, so that many of them take no further memory.
    """

    features: np.ndarray
    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> _Standard:
        mean = features.mean(0, dtype=np.float64)
        squares = np.zeros_like(mean)
        for start in range(0, len(features), _CHUNK):
            squares += np.square(features[start : start + _CHUNK] - mean).sum(0)
        return cls(features, mean, _spread(np.sqrt(squares / len(features))))

    def of_rows(self, rows: slice | np.ndarray) -> Tensor:
        """Return some standardised rows (m, d) float64."""
        return torch.from_numpy((self.features[rows] - self.mean) / self.scale)

    def pieces(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield (rows, standardised rows) of all of them."""
        for start in range(0, len(self.features), _CHUNK):
            rows = slice(start, start + _CHUNK)
            yield rows, self.of_rows(rows)


def _spread(deviation: np.ndarray) -> np.ndarray:
    """Return what to divide by: constant channels are left as they are, at zero."""
    return np.where(deviation > _FLAT, deviation, 1.0)


def _optimum(rows: _Standard, wanted: Tensor, penalty: float) -> Tensor:
    """Return the weights (d, k) on standardised features, through the smaller Gram matrix."""
    n, d = rows.features.shape
    if n < d:
        standard = rows.of_rows(slice(None))
        values, left = torch.linalg.eigh(standard @ standard.T)
        shrunk = (left.T @ wanted) / (values.clamp(min=0) + penalty)[:, None]
        return standard.T @ (left @ shrunk)
    gram = torch.zeros(d, d, dtype=torch.float64)
    moment = torch.zeros(d, wanted.shape[1], dtype=torch.float64)
    for some, standard in rows.pieces():
        gram += standard.T @ standard
        moment += standard.T @ wanted[some]
    values, right = torch.linalg.eigh(gram)
    return right @ ((right.T @ moment) / (values.clamp(min=0) + penalty)[:, None])


def _cross_validated(rows: _Standard, wanted: Tensor, units: np.ndarray, seed: int) -> float:
    """Return the strength with the least squared error over held-out folds."""
    errors: list[float] = []
    for error in _held_out_errors(rows, wanted, units, seed):
        errors.append(error)
        if error > PAST * min(errors):
            break
    return STRENGTHS[int(np.argmin(errors))] if errors else STRENGTHS[0]


def _held_out_errors(
    rows: _Standard, wanted: Tensor, units: np.ndarray, seed: int
) -> Iterator[float]:
    """Yield the squared error of each strength over held-out folds; nothing if there is one unit.

    The residuals of a held-out fold follow from those of the fit to all rows: they are
    ``(I - H)^-1 r`` with the fold's block of the hat matrix and the fold's residuals (Hastie,
    Tibshirani and Friedman, The Elements of Statistical Learning, 2nd edition, section 7.10, for
    folds of one row), so that one decomposition serves all folds and strengths.
    """
    order = np.random.default_rng(seed).permutation(len(wanted))
    some = order[: linear.MOST]
    fold_of = deal(np.zeros(len(wanted)), units, order, FOLDS)[some]
    folds = [np.flatnonzero(fold_of == fold) for fold in range(FOLDS)]
    folds = [fold for fold in folds if 0 < len(fold) < len(some)]
    if not folds:
        return
    left, squares = _left(rows.of_rows(some))
    centred = wanted[some] - wanted[some].mean(0)
    for strength in STRENGTHS:
        # fewer rows ask for a weaker penalty on their sum of losses: keep its weight a row
        penalty = len(some) / (strength * len(wanted))
        shrinkage = squares / (squares + penalty)
        residual = centred - left @ (shrinkage[:, None] * (left.T @ centred))
        yield sum(_held_out(left[fold], shrinkage, residual[fold], len(some)) for fold in folds)


def _left(standard: Tensor) -> tuple[Tensor, Tensor]:
    """Return the left singular vectors (m, r) of rows less their mean, and the squared values."""
    centred = standard - standard.mean(0)
    m, d = centred.shape
    values, vectors = torch.linalg.eigh(centred @ centred.T if m < d else centred.T @ centred)
    kept = values > 1e-12 * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    return (vectors if m < d else centred @ vectors / values.sqrt()), values


def _held_out(left: Tensor, shrinkage: Tensor, residual: Tensor, rows: int) -> float:
    """Return the squared error of a fold whose rows were not fitted to."""
    hat = (left * shrinkage) @ left.T + 1 / rows  # the last for the mean, which is not penalised
    there = torch.eye(len(residual), dtype=torch.float64)
    return float(torch.linalg.solve(there - hat, residual).square().sum())
