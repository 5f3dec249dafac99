"""TransRate: the mutual information of features and classes, by coding rates.

Huang et al., Frustratingly Easy Transferability Estimation, ICML 2022.
"""

from __future__ import annotations

import numpy as np

from headstart.evidence.transferability import Suit, transferability

PRECISION = 1e-4
"""Squared error a row up to which features are coded, for rows of length one on average."""


def transrate(suit: Suit) -> float | None:
    """Return the coding rate of all rows less the mean rate within their classes."""
    features = suit.features
    length = float(np.sqrt((features**2).sum() / len(features)))
    if length < 1e-12:
        return None
    features = features / length
    within = 0.0
    for stratum in np.unique(suit.strata):
        own = features[suit.strata == stratum]
        within += len(own) / len(features) * rate(own)
    squares = suit.decomposed[0] / length**2
    return float(np.log1p(squares / (len(features) * PRECISION)).sum()) / 2 - within


def rate(rows: np.ndarray) -> float:
    """Return half the log determinant of ``I + rows.T @ rows / (n * PRECISION)``."""
    n, d = rows.shape
    products = rows.T @ rows if d <= n else rows @ rows.T  # their determinants are the same
    _, found = np.linalg.slogdet(np.eye(len(products)) + products / (n * PRECISION))
    return float(found) / 2


transferability.register("transrate", transrate)
