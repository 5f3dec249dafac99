"""Linear heads: the problem that features pose to every solver, and what a solver answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.tasks.matrix import Array, Matrix, Scaled

MOST = 4_000
"""Rows that take part in choosing a strength at most. More of them are never held at once."""

STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 10.0)
"""Inverse strengths of L2 regularisation tried, on scaled features (scikit-learn's C; for two
classes half of it, since there are two vectors of weights where scikit-learn has one)."""

Coefficients = tuple[np.ndarray, np.ndarray]
"""Weights (outputs, d) and biases (outputs,)."""


@dataclass(frozen=True)
class LinearSolution:
    """Outputs are ``features @ weight.T + bias``; `strength` is the inverse penalty (C) used.

    Attributes
    ----------
    weight
        (outputs, d) float32.
    bias
        (outputs,) float32.
    held_out
        (n, outputs) float32, what heads of this strength say of each row whose fold they did not
        learn from; None where the strength was not chosen by holding all rows out.
    """

    weight: np.ndarray
    bias: np.ndarray
    strength: float
    held_out: np.ndarray | None = None

    def state(self) -> dict[str, Tensor]:
        """Return the state of a linear head."""
        return {
            "linear.weight": torch.from_numpy(self.weight),
            "linear.bias": torch.from_numpy(self.bias),
        }


@dataclass(frozen=True)
class Problem:
    """Features in the basis in which their Gram matrix is diagonal.

    L2 regularisation does not see a rotation, so the optimum is the same; with fewer rows than
    channels the problem shrinks to as many coordinates as there are rows.

    Attributes
    ----------
    rows
        (n, r + 1) coordinates, the last a constant 1 for the bias.
    spread
        (r + 1,) sums of squares of the coordinates.
    back
        Takes weights (k, r) and biases (k,) on coordinates to those on features.
    """

    rows: Tensor
    spread: Tensor
    back: Callable[[Tensor, np.ndarray], Coefficients]

    @classmethod
    def of_features(cls, features: np.ndarray) -> Problem:
        """Return the problem of (n, d) float32 features, which are centred and scaled first."""
        return Features.of(features).posed()

    @classmethod
    def of_rows(cls, features: Scaled, rows: np.ndarray) -> Problem:
        """Return the problem of some rows, at the mean and scale of all."""
        scaled = torch.from_numpy(features.take(rows)).float()
        n, d = scaled.shape
        if n < d:
            values, left = torch.linalg.eigh((scaled @ scaled.T).double())
            least = max(1e-6 * float(values[-1]), 1e-12)  # constant features have none at all
            basis = (left / values.clamp(min=least).sqrt()).T.float() @ scaled
        else:
            values, vectors = torch.linalg.eigh((scaled.T @ scaled).double())
            basis = vectors.T.float()

        def back(weight: Tensor, bias: np.ndarray) -> Coefficients:
            on_features = (weight @ basis).numpy() / features.scale
            return on_features, bias - on_features @ features.mean

        return cls._of(scaled @ basis.T, back)

    @classmethod
    def of_products(cls, products: np.ndarray) -> Problem:
        """Return the problem of features too wide to hold, from the products of their rows.

        Parameters
        ----------
        products
            (n, n) scalar products of the features' rows, the mean row taken off.

        Returns
        -------
        A problem whose weights (k, n) combine the rows: those on the features, less their mean,
        are ``weight @ features``.
        """
        values, left = torch.linalg.eigh(torch.from_numpy(products).double())
        kept = values > 1e-9 * float(values[-1])
        length = values[kept].sqrt()
        basis = (left[:, kept] / length).T.float()
        return cls._of(
            (left[:, kept] * length).float(),
            lambda weight, bias: ((weight @ basis).numpy(), bias),
        )

    @classmethod
    def of_sparse(cls, features: Any) -> Problem:
        """Return the problem of a sparse (n, d) matrix, as it is but for its mean."""
        mean = np.asarray(features.mean(0)).ravel()
        products = (features @ features.T).toarray().astype(np.float64)
        products -= products.mean(0)
        products -= products.mean(1, keepdims=True)
        problem = cls.of_products(products)

        def back(weight: Tensor, bias: np.ndarray) -> Coefficients:
            on_features = problem.back(weight, bias)[0] @ features
            return on_features, bias - on_features @ mean

        return cls(problem.rows, problem.spread, back)

    @classmethod
    def _of(cls, places: Tensor, back: Callable[[Tensor, np.ndarray], Coefficients]) -> Problem:
        coordinates = torch.cat([places, torch.ones(len(places), 1)], 1)
        return cls(coordinates, coordinates.square().sum(0), back)

    def take(self, rows: np.ndarray) -> Problem:
        """Return the problem of some rows, in the same coordinates, with the same bounds."""
        return Problem(self.rows[rows], self.spread, self.back)

    def in_features(self, w: Tensor) -> Coefficients:
        """Return (r + 1, k) coefficients as weights (k, d) and biases (k,) on features."""
        return self.back(w[:-1].T, w[-1].numpy().copy())


@dataclass(frozen=True)
class Features:
    """Dense features, which a solver centres and scales."""

    matrix: Matrix

    @classmethod
    def of(cls, values: np.ndarray) -> Features:
        """Return the features of an (n, d) array, which may be mapped from a file."""
        return cls(Array(values))

    @property
    def large(self) -> bool:
        """Say whether there are more rows than are held, so that solvers read them in pieces."""
        return self.matrix.shape[0] > MOST

    def posed(self) -> Problem:
        """Return the problem that they pose, centred and scaled."""
        return Problem.of_rows(Scaled.of(self.matrix), np.arange(self.matrix.shape[0]))


@dataclass(frozen=True)
class SparseProblem:
    """Sparse (n, d) features of so many rows that their products would not fit.

    A strength is chosen on `MOST` of them; scikit-learn solves for all.
    """

    features: Any

    def some(self, seed: int) -> tuple[np.ndarray, Problem]:
        """Return a seeded draw of rows, and the problem they pose."""
        rows = np.random.default_rng(seed).permutation(self.features.shape[0])[:MOST]
        return rows, Problem.of_sparse(self.features[rows])


AnyProblem = Features | Problem | SparseProblem
