"""H-score with shrinkage: how much of the features' spread is between classes.

Bao et al., An Information-Theoretic Approach to Transferability in Task Transfer Learning, ICIP
2019; shrunk as in Ibrahim, Ponomareva and Mazumder, Newer is Not Always Better: Rethinking
Transferability Metrics, ECML 2022.
"""

from __future__ import annotations

import numpy as np

from headstart.evidence.transferability import Suit, transferability


def h_score(suit: Suit) -> float | None:
    """Return the trace of the shrunk covariance's inverse times that of the classes' means."""
    features = suit.features
    total = float((features**2).sum()) / len(features)
    if total < 1e-12:
        return None
    shrinkage = ledoit_wolf(suit)
    floor = shrinkage * total / features.shape[1]
    # along the rows' own directions, besides which the shrunk covariance is floor * I; the means of
    # the classes are the rows' averages, so their places are those of the left singular vectors
    squares, left = suit.decomposed
    spread = (1 - shrinkage) * squares / len(features) + floor
    _, codes, counts = np.unique(suit.strata, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), left.shape[1]))
    np.add.at(sums, codes, left)
    along = squares * (sums**2 / counts[:, None]).sum(0) / len(features)
    return float((1 - shrinkage) * (along / np.maximum(spread, 1e-12)).sum())


def ledoit_wolf(suit: Suit) -> float:
    """Return by how much to shrink the covariance of features whose mean is zero.

    Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices, 2004,
    as scikit-learn's `ledoit_wolf_shrinkage` has it; but the norm of the covariance comes from its
    eigenvalues, which are known.
    """
    n, d = suit.features.shape
    lengths = (suit.features**2).sum(1)
    mean = float(lengths.sum()) / (n * d)
    norm = float((suit.decomposed[0] ** 2).sum()) / n**2
    apart = norm / d - mean**2
    spread = (float((lengths**2).sum()) / n - norm) / (d * n)
    return min(spread, apart) / apart if apart > 0 else 0.0


transferability.register("h-score", h_score)
