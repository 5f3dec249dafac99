"""Novelty: how unlike the training rows a new row is, as a calibrated p-value.

The training rows' features, each scaled to length one (Sun et al., Out-of-Distribution Detection
with Deep Nearest Neighbors, ICML 2022), are described by one Gaussian: exactly along the directions
in which they vary most, and by one variance in all others (Tipping & Bishop, Probabilistic
Principal Component Analysis, 1999), shrunk as Ledoit & Wolf do (2004). The distance of a row is
Mahalanobis' (Lee et al., A Simple Unified Framework, NeurIPS 2018, there by class).

Rows that were held out from the training turn a distance into a conformal p-value (Vovk, Gammerman
& Shafer, Algorithmic Learning in a Random World, 2005; Bates et al., Testing for Outliers with
Conformal p-values, 2023): under exchangeability at most a share `LEVEL` of rows like the training
rows is flagged, whatever the distance is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LEVEL = 0.01
"""A row is unlike the training rows if its p-value is no larger than this."""
ENOUGH = math.ceil(1 / LEVEL) - 1
"""Held-out rows from which on a p-value can be that small."""
DIRECTIONS = 64
"""Directions that have a variance of their own, at most."""
REFERENCE = 2_000
"""Training rows that are described, at most."""
FEWEST = 10
"""Training rows below which nothing is described."""


@dataclass(frozen=True)
class Novelty:
    """What is known of the training rows' features, and the distances of held-out rows.

    Attributes
    ----------
    centre
        (d,) mean of the scaled features.
    directions
        (q, d) orthonormal rows: the directions of largest variance.
    variances
        (q,) along them.
    rest
        () variance along every other direction.
    held
        (n,) distances of the held-out rows, ascending.
    """

    centre: Tensor
    directions: Tensor
    variances: Tensor
    rest: Tensor
    held: Tensor

    @property
    def can_flag(self) -> bool:
        """Say whether enough rows were held out for a p-value as small as `LEVEL`."""
        return len(self.held) >= ENOUGH

    def distances(self, features: Tensor) -> Tensor:
        """Return Mahalanobis' distance (rows,) float64 of features (rows, d)."""
        away = _scaled(features) - self.centre.double()
        along = away @ self.directions.double().T
        others = (away.square().sum(1) - along.square().sum(1)).clamp(min=0)
        return ((along.square() / self.variances).sum(1) + others / self.rest).sqrt()

    def p_values(self, features: Tensor) -> list[float]:
        """Return for each row (1 + held-out rows at least as far away) / (1 + held-out rows)."""
        nearer = torch.searchsorted(self.held, self.distances(features).float())
        return ((1 + len(self.held) - nearer) / (1 + len(self.held))).tolist()

    def unlike(self, p_value: float) -> bool | None:
        """Say whether a row with this p-value is unlike the training rows; None: cannot be said."""
        return p_value <= LEVEL if self.can_flag else None

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it as named tensors, from which `Novelty(**tensors)` is made again."""
        return dict(vars(self))


def describe(reference: Tensor, held: Tensor, seed: int = 0) -> Novelty | None:
    """Describe training rows, and calibrate on rows that were held out.

    Parameters
    ----------
    reference
        (rows, d) features of training rows; of more than `REFERENCE`, a seeded draw is used.
    held
        (n, d) features of other rows, none of them a duplicate of a training row.
    seed
        Of the draw.

    Returns
    -------
    None where there are fewer than `FEWEST` training rows, no held-out row, or all training rows
    have the same features.
    """
    if len(reference) < FEWEST or not len(held):
        return None
    if len(reference) > REFERENCE:
        drawn = np.random.default_rng(seed).choice(len(reference), REFERENCE, replace=False)
        reference = reference[torch.from_numpy(np.sort(drawn))]
    rows = _scaled(reference)
    centre = rows.mean(0)
    away = rows - centre
    total = float(away.square().sum()) / len(rows)
    if total < 1e-12:
        return None
    tall = len(away) >= away.shape[1]
    products = (away.T @ away if tall else away @ away.T) / len(away)
    directions, spread = _principal(products, away if not tall else None)
    width = away.shape[1]
    shrinkage = _shrinkage(away, products)
    floor = shrinkage * total / width
    others = max(width - len(spread), 1)
    rest = (1 - shrinkage) * max(total - float(spread.sum()), 0.0) / others + floor
    least = 1e-9 * total  # directions in which no training row differs from another
    known = Novelty(
        centre=centre.float(),
        directions=directions.float(),
        variances=((1 - shrinkage) * spread + floor).clamp(min=least).float(),
        rest=torch.tensor(max(rest, least)).float(),
        held=torch.zeros(0),
    )
    return Novelty(**{**known.tensors(), "held": known.distances(held).float().sort().values})


def _scaled(features: Tensor) -> Tensor:
    """Return the rows at length one, float64."""
    return torch.nn.functional.normalize(features.double(), dim=1)


def _principal(products: Tensor, away: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the directions (q, d) of largest variance of centred rows, and the variances (q,).

    `products` are the mean products of columns (d, d), or where `away` (rows, d) is given, those of
    its rows: whichever are fewer.
    """
    from scipy.linalg import eigh

    size = len(products)
    count = min(DIRECTIONS, max(1, size // 2))
    values, vectors = eigh(products.numpy(), subset_by_index=(size - count, size - 1))
    values, vectors = values[::-1].copy(), vectors[:, ::-1]
    found = torch.from_numpy(vectors.T.copy())
    if away is not None:
        found = torch.nn.functional.normalize(found @ away, dim=1)
    return found, torch.from_numpy(values).clamp(min=0)


def _shrinkage(away: Tensor, products: Tensor) -> float:
    """Return the share of the mean variance in the shrunk covariance of centred rows.

    Ledoit & Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices (2004).
    Both products, of columns and of rows, have the covariance's trace and norm.
    """
    rows, width = away.shape
    norm = float(products.square().sum())
    spread = norm - float(products.trace()) ** 2 / width
    error = float(away.square().sum(1).square().mean()) - norm
    return min(1.0, error / rows / spread) if spread > 0 else 1.0
