"""Paired comparison of two models on the same rows."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from headstart.evidence.intervals import LEVEL, Interval, ends, resamples
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
    The spread is widened by sqrt(m / (m - 1)) for m units, the bootstrap's known shortfall; and for
    a proportion of independent rows to the exact interval of the rows that decide, since with few
    of them the bootstrap leaves out zero too often.
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
    if metric.proportion and distinct == len(units):
        exact = deciding(int((a > b).sum()), int((a < b).sum()), len(units))
        low, high = min(low, exact[0]), max(high, exact[1])
    return Interval(value, min(low, value), max(high, value))


def deciding(won: int, lost: int, rows: int) -> tuple[float, float]:
    """Return the exact interval of a difference of two proportions, given how many rows decide.

    Of the rows on which only one of the two is right, `won` are ours and `lost` theirs. The share
    of ours has the interval of Clopper and Pearson (Biometrika 26, 1934), which leaves out one half
    just where McNemar's exact test rejects.
    """
    from scipy.stats import beta

    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, won, lost + 1)) if won else 0.0
    high = float(beta.ppf(1 - tail, won + 1, lost)) if lost else 1.0
    scale = (won + lost) / rows
    return (2 * low - 1) * scale, (2 * high - 1) * scale
