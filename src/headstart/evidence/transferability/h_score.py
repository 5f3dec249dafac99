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
    from sklearn.covariance import ledoit_wolf_shrinkage

    features = suit.features
    total = float((features**2).sum()) / len(features)
    if total < 1e-12:
        return None
    shrinkage = float(ledoit_wolf_shrinkage(features, assume_centered=True))
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


transferability.register("h-score", h_score)
