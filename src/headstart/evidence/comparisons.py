"""Paired comparison of two models on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from headstart.evidence.intervals import LEVEL, Interval, ends, resamples, together, widened
from headstart.tasks import Metric

_NEAR = 1e-9


def gain(
    metric: Metric,
    ours: Tensor,
    theirs: Tensor,
    targets: np.ndarray,
    units: np.ndarray,
    seed: int = 0,
) -> Interval:
    """Return how much better `ours` scores than `theirs`, with a 95% interval; positive is better.

    For a proportion it is the score interval of a paired difference, widened to the exact one of
    the rows that decide: with few of those the former leaves out zero too often. Rows that belong
    together count for fewer, by the design effect. Otherwise both models are scored on the same
    bootstrap samples of units, so what makes a row hard or easy for both cancels out (Efron and
    Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13), and the spread is widened for
    how few units there are. Of a single unit nothing can be said: the interval is the whole line.
    """
    a, b = (metric.statistics(outputs, targets) for outputs in (ours, theirs))
    return repeated_gain(metric, [a], [b], units, seed)


def repeated_gain(
    metric: Metric,
    ours: Sequence[np.ndarray],
    theirs: Sequence[np.ndarray],
    units: np.ndarray,
    seed: int = 0,
    overlap: float = 1.0,
    level: float = LEVEL,
) -> Interval:
    """Return the mean gain of repeats on the same rows, with its interval, as `gain` does.

    Parameters
    ----------
    ours, theirs
        (n, …) statistics of the rows, once a repeat.
    overlap
        How many times its variance is that of independent rows.
    level
        Of the interval.
    """
    pairs = list(zip(ours, theirs, strict=True))

    def difference(weights: np.ndarray) -> np.ndarray:
        apart = [metric.aggregate(a, weights) - metric.aggregate(b, weights) for a, b in pairs]
        found: np.ndarray = np.mean(apart, 0)
        return found if metric.greater_is_better else -found

    rows, distinct = len(units), len(np.unique(units))
    value = float(difference(np.ones((1, rows)))[0])
    if distinct < 2:
        return Interval(value, -math.inf, math.inf)
    drawn = np.zeros(0)
    if not metric.proportion or distinct < rows:
        drawn = np.concatenate([difference(weights) for weights in resamples(units, seed)])
    if metric.proportion:
        won, lost = (
            float(np.mean([np.sum(sign * (a - b) > 0) for a, b in pairs])) for sign in (1, -1)
        )
        if len(drawn):
            independent = ((won + lost) / rows - value**2) / rows
            overlap *= together(drawn, independent, rows, distinct, level)
        counts = won / overlap, lost / overlap, rows / overlap
        found = score(*counts, level), deciding(*counts, level)
        low, high = min(low for low, _ in found), max(high for _, high in found)
    else:
        wider = widened(distinct, level) * math.sqrt(overlap)
        low, high = ends(value + (drawn - value) * wider, level)
    return Interval(value, min(low, value), max(high, value))


def score(won: float, lost: float, rows: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of a difference of two proportions on the same rows.

    Its ends are where the score statistic of the constrained model reaches the normal quantile
    (Tango, Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design, Statistics in Medicine 17, 1998). It stays open even where no row decides.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + level / 2))
    value = (won - lost) / rows

    def surplus(true: float) -> float:
        linear = (2 * rows - won + lost) * true - won - lost
        root = np.sqrt(max(0.0, linear**2 + 8 * rows * lost * true * (1 - true)))
        theirs = (root - linear) / (4 * rows)
        variance = max(0.0, rows * (2 * theirs + true * (1 - true)))
        return (rows * (value - true)) ** 2 - z * z * variance

    low = -1.0 if surplus(-1.0) <= 0 else float(brentq(surplus, -1.0, value - _NEAR))
    high = 1.0 if surplus(1.0) <= 0 else float(brentq(surplus, value + _NEAR, 1.0))
    return low, high


def deciding(won: float, lost: float, rows: float, level: float = LEVEL) -> tuple[float, float]:
    """Return the exact interval of a difference of two proportions, given how many rows decide.

    Of the rows on which only one of the two is right, `won` are ours and `lost` theirs. The share
    of ours has the interval of Clopper and Pearson (Biometrika 26, 1934), which leaves out one half
    just where McNemar's exact test rejects.
    """
    from scipy.stats import beta

    tail = (1 - level) / 2
    low = float(beta.ppf(tail, won, lost + 1)) if won else 0.0
    high = float(beta.ppf(1 - tail, won + 1, lost)) if lost else 1.0
    scale = (won + lost) / rows
    return (2 * low - 1) * scale, (2 * high - 1) * scale
