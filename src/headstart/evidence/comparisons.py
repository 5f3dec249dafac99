"""Paired comparison of two models on the same rows."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from headstart.evidence.intervals import Interval, ends, resamples
from headstart.tasks import Metric


def gain(
    metric: Metric,
    ours: Tensor,
    theirs: Tensor,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int = 0,
) -> Interval:
    """Return how much better `ours` scores than `theirs`, with a 95% interval; positive is better.

    Both are scored on the same bootstrap samples of units, so what makes a row hard or easy for
    both cancels out (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
    The spread is widened by sqrt(m / (m - 1)) for m units, the bootstrap's known shortfall.
    """
    a, b = (metric.statistics(outputs, targets) for outputs in (ours, theirs))

    def difference(weights: np.ndarray) -> np.ndarray:
        found = metric.aggregate(a, weights) - metric.aggregate(b, weights)
        return found if metric.greater_is_better else -found

    value = float(difference(np.ones((1, len(a))))[0])
    drawn = np.concatenate([difference(weights) for weights in resamples(units, seed)])
    distinct = len(np.unique(units))
    wider = np.sqrt(distinct / max(1, distinct - 1))
    low, high = ends(value + (drawn - value) * wider)
    return Interval(value, min(low, value), max(high, value))
