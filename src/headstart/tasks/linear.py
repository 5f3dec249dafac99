"""The linear probe: multinomial logistic regression on frozen features, solved to the optimum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import deal

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
"""Inverse strengths of L2 regularisation tried, on standardised features (scikit-learn's C; for two
classes half of it, since there are two vectors of weights where scikit-learn has one)."""
FOLDS = 5
MOST = 4_000
"""Rows that take part in cross-validation at most."""
PAST = 1.03
"""Held-out loss, as a multiple of the least, at which weaker penalties are no longer tried."""
UNSEEN = -20.0
"""Logit of a class without training rows."""


@dataclass(frozen=True)
class LinearSolution:
    """Logits are ``features @ weight.T + bias``; `strength` is the C that was used."""

    weight: np.ndarray
    bias: np.ndarray
    strength: float


def solve(
    features: np.ndarray,
    targets: np.ndarray,
    classes: int,
    units: np.ndarray,
    seed: int,
    strength: float | None = None,
) -> LinearSolution:
    """Fit logistic regression with L2 regularisation on standardised features.

    Parameters
    ----------
    features
        (n, d) float32.
    targets
        (n,) class numbers below `classes`; classes without rows get the lowest logits.
    units
        (n,) rows of equal number stay in one fold.
    strength
        Inverse regularisation strength; None chooses the one of `STRENGTHS` with the least
        cross-validated log loss.
    """
    mean, scale = features.mean(0), features.std(0) + 1e-6
    seen, codes = np.unique(targets, return_inverse=True)
    problem = _Problem.of(torch.from_numpy((features - mean) / scale), codes, len(seen))
    if strength is None:
        strength = _cross_validated(problem, units, seed)
    found = problem.optimum(torch.ones(1, len(targets)), strength, tolerance=1e-5, most=3000)[0]
    weight = np.zeros((classes, features.shape[1]), np.float32)
    bias = np.full(classes, UNSEEN, np.float32)
    weight[seen], bias[seen] = problem.in_features(found)
    weight[seen] /= scale
    bias[seen] -= weight[seen] @ mean
    return LinearSolution(weight, bias, strength)


def solve_products(
    products: np.ndarray,
    targets: np.ndarray,
    classes: int,
    units: np.ndarray,
    seed: int,
    strengths: tuple[float, ...],
    strength: float | None = None,
) -> LinearSolution:
    """Fit the same model on features that are too wide to hold, from the products of their rows.

    Parameters
    ----------
    products
        (n, n) scalar products of the features' rows, the mean row taken off.
    strengths
        Those that are tried where `strength` is None.

    Returns
    -------
    A solution whose `weight` (classes, n) combines the rows: the weights on the features are
    ``weight @ features``, the logits ``(features - mean) @ weights.T + bias``.
    """
    seen, codes = np.unique(targets, return_inverse=True)
    problem = _Problem.of_products(torch.from_numpy(products), codes, len(seen))
    if strength is None:
        strength = _cross_validated(problem, units, seed, strengths)
    found = problem.optimum(torch.ones(1, len(targets)), strength, tolerance=1e-5, most=3000)[0]
    weight = np.zeros((classes, len(targets)), np.float32)
    bias = np.full(classes, UNSEEN, np.float32)
    weight[seen], bias[seen] = problem.in_features(found)
    return LinearSolution(weight, bias, strength)


@dataclass(frozen=True)
class _Problem:
    """Standardised features in the basis in which their Gram matrix is diagonal.

    L2 regularisation does not see a rotation, so the optimum is the same; with fewer rows than
    channels the problem shrinks to as many coordinates as there are rows.

    Attributes
    ----------
    rows
        (n, r + 1) coordinates, the last a constant 1 for the bias.
    spread
        (r + 1,) sums of squares of the coordinates.
    basis
        (r, d) directions of the coordinates.
    """

    rows: Tensor
    spread: Tensor
    basis: Tensor
    hot: Tensor

    @classmethod
    def of(cls, standard: Tensor, targets: np.ndarray, classes: int) -> _Problem:
        n, d = standard.shape
        if n < d:
            values, left = torch.linalg.eigh((standard @ standard.T).double())
            basis = (left / values.clamp(min=1e-6 * float(values[-1])).sqrt()).T.float() @ standard
        else:
            values, vectors = torch.linalg.eigh((standard.T @ standard).double())
            basis = vectors.T.float()
        return cls._from(standard @ basis.T, basis, targets, classes)

    @classmethod
    def of_products(cls, products: Tensor, targets: np.ndarray, classes: int) -> _Problem:
        """Return the problem whose directions are combinations of the rows."""
        values, left = torch.linalg.eigh(products.double())
        kept = values > 1e-9 * float(values[-1])
        length = values[kept].sqrt()
        basis = (left[:, kept] / length).T.float()
        return cls._from((left[:, kept] * length).float(), basis, targets, classes)

    @classmethod
    def _from(cls, places: Tensor, basis: Tensor, targets: np.ndarray, classes: int) -> _Problem:
        coordinates = torch.cat([places, torch.ones(len(places), 1)], 1)
        hot = torch.nn.functional.one_hot(torch.from_numpy(targets), classes).float()
        return cls(coordinates, coordinates.square().sum(0), basis, hot)

    def optimum(
        self,
        weights: Tensor,
        strength: float,
        tolerance: float,
        most: int,
        start: Tensor | None = None,
    ) -> Tensor:
        """Return the optima (p, r + 1, classes) of `p` problems that differ in their rows.

        Newton steps with a fixed bound on the curvature (Böhning, Multinomial logistic regression
        algorithm, 1992), which is diagonal here and holds for every subset of the rows, accelerated
        by Nesterov's momentum with restarts (O'Donoghue and Candès, 2015).

        Parameters
        ----------
        weights
            (p, n) 1 for the rows that take part in a problem, 0 for the others.
        strength
            Inverse regularisation strength.
        tolerance
            Largest step, as a share of the largest coefficient, at which the search ends.
        most
            Iterations at most.
        start
            (p, r + 1, classes) where the search begins; at zero if None.
        """
        decay = torch.full((len(self.spread), 1), 1 / strength)
        decay[-1] = 0
        curvature = 0.5 * self.spread[:, None] + decay
        nowhere = torch.zeros(len(weights), len(self.spread), self.hot.shape[1])
        w = nowhere if start is None else start
        ahead, momentum = w.clone(), torch.ones(len(weights), 1, 1)
        for _ in range(most):
            wrong = (torch.matmul(self.rows, ahead).softmax(2) - self.hot) * weights[:, :, None]
            step = (torch.matmul(self.rows.T, wrong) + decay * ahead) / curvature
            new = ahead - step
            uphill = (step * curvature * (new - w)).sum((1, 2), keepdim=True) > 0
            momentum = torch.where(uphill, 1.0, momentum)
            faster = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            ahead = new + (momentum - 1) / faster * (new - w)
            w, momentum = new, faster
            if (
                float((step.abs().amax((1, 2)) / w.abs().amax((1, 2)).clamp(1e-9)).max())
                < tolerance
            ):
                break
        return w

    def in_features(self, w: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return an optimum as (classes, d) weights on standardised features, and biases."""
        return (w[:-1].T @ self.basis).numpy(), w[-1].numpy().copy()


def _cross_validated(
    problem: _Problem, units: np.ndarray, seed: int, strengths: tuple[float, ...] = STRENGTHS
) -> float:
    """Return the strength with the least log loss over held-out folds.

    The folds are solved together, along the path from the strongest penalty to weaker ones, each
    begun where the last one ended. The path is left where the loss is clearly past its least.
    """
    targets = problem.hot.argmax(1).numpy()
    order = np.random.default_rng(seed).permutation(len(targets))
    some = order[:MOST]
    fold_of = torch.from_numpy(deal(targets, units, order, FOLDS)[some])
    few = _Problem(problem.rows[some], problem.spread, problem.basis, problem.hot[some])
    inside = (fold_of != torch.arange(FOLDS)[:, None]).float()
    w = None
    losses: list[float] = []
    for strength in strengths:
        # fewer rows ask for a weaker penalty on their sum of losses: keep its weight a row
        scaled = strength * len(targets) / len(some)
        w = few.optimum(inside, scaled, tolerance=1e-3, most=150, start=w)
        loss = -(torch.matmul(few.rows, w).log_softmax(2) * few.hot).sum(2)
        losses.append(float((loss * (1 - inside)).sum()))
        if losses[-1] > PAST * min(losses):
            break
    return strengths[int(np.argmin(losses))]


def logits_of(model: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a fitted logistic regression as (classes, d) weights and (classes,) biases of logits.

    For two classes scikit-learn keeps one row, which stands for the difference of two logits.
    Classes that the model has not seen get a logit so low that they are never predicted.
    """
    w, b = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        w, b = np.stack([-w[0] / 2, w[0] / 2]), np.stack([-b[0] / 2, b[0] / 2])
    weight = np.zeros((classes, w.shape[1]), np.float32)
    bias = np.full(classes, UNSEEN, np.float32)
    weight[model.classes_], bias[model.classes_] = w, b
    return weight, bias
