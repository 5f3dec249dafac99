"""The learning curve: what more labels would bring, and where a head start stops helping.

The error of a recipe is measured at several sizes of its training rows, each a part of the next,
on rows that it did not learn from, and follows a power law: it falls towards what no number of rows
takes away (Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017). What is not
known of the law after so few sizes is carried into the forecast: all laws are weighed by how well
they agree with what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from headstart.data.splits import deal, stratified_order
from headstart.evidence.intervals import Interval, ends, resamples
from headstart.tasks import Metric

FOLDS = 5
SIZES = 5
"""Sizes of training rows, at most; each is half of the next."""
FEWEST = 12
"""Rows to learn from, at least; and two of each stratum."""
FARTHEST = 64
"""How many times the rows there are the curves of two recipes are looked at for where they meet."""
ANSWERED = 1_000
"""Answers at each size: fewer rows are dealt into folds several times, at most `DEALS` times."""
DEALS = 5
MISFIT = 0.05
"""By how much, as a share of the error, the law may be wrong for each doubling of the rows: so much
that bands hold what is measured on the targets that ``benchmarks/learning_curve.py`` calls others.
"""
_RATE = 0.5
"""Usual exponent of the law; its logarithm has a standard deviation of `_RATE_SPREAD`."""
_RATE_SPREAD = 0.6
_GRID = 61
_DRAWS = 400

Answer = Callable[[np.ndarray, np.ndarray], Tensor]
"""Gives the outputs for some rows (the latter) of a model that learnt from others (the former)."""


@dataclass(frozen=True)
class LearningCurve:
    """The score of a recipe by the number of rows that it learns from.

    Attributes
    ----------
    metric
        Name of the score.
    greater
        More of it is better, one at best; else less, zero at best.
    rows, scores, errors
        (s,) what was measured: training rows, score, and its standard error.
    laws
        (d, 3) laws drawn by how well they agree with it: error at the largest size, the share of it
        that no number of rows takes away, and exponent.
    """

    metric: str
    greater: bool
    rows: tuple[int, ...]
    scores: tuple[float, ...]
    errors: tuple[float, ...]
    laws: np.ndarray

    def at(self, rows: int) -> Interval:
        """Return the score to expect with so many rows to learn from, with its 95% band."""
        found = self._drawn(rows)
        low, high = ends(found)
        return Interval(float(np.median(found)), low, high)

    def _drawn(self, rows: float) -> np.ndarray:
        """Return (d,) scores with so many rows, one for each law."""
        error, floor, rate = self.laws.T
        times = rows / self.rows[-1]
        found = error * (floor + (1 - floor) * times**-rate)
        apart = MISFIT * abs(np.log2(times)) * error
        found = found + apart * np.random.default_rng(7).standard_normal(len(found))
        worst = 1.0 if self.greater and min(self.scores) >= 0 else np.inf
        found = np.clip(found, 0.0, worst)
        return 1 - found if self.greater else found

    def meets(self, other: LearningCurve) -> Interval | None:
        """Return from how many rows on `other` is at least as good, or None if that is far off.

        None where the two, as they are expected to go on, do not meet within `FARTHEST` times the
        rows there are.
        """
        sizes = self.rows[-1] * np.geomspace(1, FARTHEST, 60)
        sign = 1 if self.greater else -1
        # both are drawn in one order: as they are, the errors of one would be those of the other
        order = np.random.default_rng(17).permutation(len(other.laws))
        ours = np.stack([sign * self._drawn(n) for n in sizes])
        theirs = np.stack([sign * other._drawn(n)[order] for n in sizes])
        met = ours <= theirs
        expected = np.median(ours, 1) <= np.median(theirs, 1)
        if not expected.any():
            return None
        first = np.where(met.any(0), sizes[met.argmax(0)], sizes[-1])
        low, high = ends(first)
        value = float(sizes[expected.argmax()])
        return Interval(value, min(low, value), max(high, value))

    def data(self) -> dict[str, Any]:
        """Return it as JSON data, with the forecast for twice and four times the rows."""
        have = self.rows[-1]
        measured = zip(self.rows, self.scores, self.errors, strict=True)
        return {
            "metric": self.metric,
            "greater_is_better": self.greater,
            "points": [
                {"rows": n, "value": round(s, 6), "standard_error": round(e, 6)}
                for n, s, e in measured
            ],
            "forecast": [{"rows": n, **self.at(n).data()} for n in (2 * have, 4 * have)],
            "laws": [[float(f"{v:.5g}") for v in law] for law in self.laws],
        }

    @classmethod
    def of(cls, data: dict[str, Any]) -> LearningCurve:
        """Return the curve that `data` gave."""
        points = data["points"]
        return cls(
            metric=data["metric"],
            greater=data["greater_is_better"],
            rows=tuple(point["rows"] for point in points),
            scores=tuple(point["value"] for point in points),
            errors=tuple(point["standard_error"] for point in points),
            laws=np.array(data["laws"]),
        )


def sizes_of(rows: int, strata: int) -> list[int]:
    """Return the numbers of training rows at which the error is measured, of so many rows in all.

    The largest is what is left of the rows when a fold is held out. Empty where rows are too few.
    """
    fewest = max(FEWEST, 2 * strata)
    largest = rows * (FOLDS - 1) // FOLDS
    found = [largest >> halved for halved in range(SIZES)]
    kept = sorted(size for size in found if size >= fewest)
    return kept if len(kept) > 1 else []


def deals_of(rows: int) -> int:
    """Return how often so many rows are dealt into folds."""
    return max(1, min(DEALS, ANSWERED // rows))


def learning_curve(
    answer: Answer,
    metric: Metric,
    targets: np.ndarray,
    strata: np.ndarray,
    units: np.ndarray,
    seed: int = 0,
    late: Callable[[int], bool] = lambda _deals: False,
) -> LearningCurve | None:
    """Measure a recipe at several sizes, each fold held out in turn, and fit the law to it.

    Parameters
    ----------
    answer
        Fits the recipe.
    targets, strata, units
        (n,) of all rows; rows of one unit are held out together.
    late
        Says after how many deals into folds there is no time for another; few rows need several.

    Returns
    -------
    None where the rows are too few.
    """
    random = np.random.default_rng([seed, 11])
    rows = len(targets)
    dealt = [deal(strata, units, random.permutation(rows), FOLDS) for _ in range(deals_of(rows))]
    # where a large unit is held out, fewer rows are left
    least = min(rows - int(np.bincount(fold_of).max()) for fold_of in dealt)
    sizes = sizes_of(least * FOLDS // (FOLDS - 1), len(np.unique(strata)))
    if not sizes:
        return None
    found: list[list[np.ndarray]] = []
    for deals, fold_of in enumerate(dealt):
        if deals and late(deals):
            break
        statistics: list[list[np.ndarray]] = [[] for _ in sizes]
        places = []
        for fold in np.unique(fold_of).tolist():
            held, rest = np.flatnonzero(fold_of == fold), np.flatnonzero(fold_of != fold)
            order = rest[stratified_order(strata[rest], random)]
            places.append(held)
            for parts, size in zip(statistics, sizes, strict=True):
                outputs = answer(np.sort(order[:size]), held)
                parts.append(metric.statistics(outputs, targets[held]))
        back = np.argsort(np.concatenate(places))
        found.append([np.concatenate(parts)[back] for parts in statistics])
    return fitted(metric, sizes, found, units, seed)


def fitted(
    metric: Metric,
    sizes: Sequence[int],
    statistics: Sequence[Sequence[np.ndarray]],
    units: np.ndarray,
    seed: int = 0,
) -> LearningCurve:
    """Fit the law to the metric's statistics (n, …) of the same rows, for each deal and size."""

    def scored(weights: np.ndarray) -> np.ndarray:
        each = [[metric.aggregate(found, weights) for found in deal] for deal in statistics]
        mean: np.ndarray = np.mean(each, 0)
        return mean

    scores = scored(np.ones((1, len(units))))[:, 0]
    drawn = [scored(weights) for weights in resamples(units, seed)]
    covariance = np.atleast_2d(np.cov(np.concatenate(drawn, 1)))
    # few rows that are all right do not show that none will be wrong
    one = 1.0 if metric.greater_is_better else float(np.mean(scores))
    covariance = covariance + np.diag(np.full(len(sizes), (one / len(units)) ** 2))
    error = 1 - scores if metric.greater_is_better else scores
    return LearningCurve(
        metric.name,
        metric.greater_is_better,
        tuple(int(size) for size in sizes),
        tuple(scores.tolist()),
        tuple(np.sqrt(np.diag(covariance)).tolist()),
        laws(np.array(sizes, np.float64), error, covariance, seed),
    )


def laws(sizes: np.ndarray, errors: np.ndarray, covariance: np.ndarray, seed: int) -> np.ndarray:
    """Return (d, 3) laws ``e · (f + (1 - f) · (n / largest) ** -r)``, drawn as they agree.

    Beforehand ``f`` is the likelier the smaller it is, ``r`` about one half, and ``e`` anything:
    given the other two it is normal, so it is integrated out, and those are weighed on a grid.

    Parameters
    ----------
    sizes
        (s,) training rows.
    errors, covariance
        (s,) and (s, s) of what was measured there.
    """
    times = sizes / sizes[-1]
    apart = MISFIT * np.log2(times) * errors
    precision = np.linalg.pinv(covariance + np.diag(apart**2))
    floors = (np.arange(_GRID) + 0.5) / _GRID
    rates = _RATE * np.exp(_RATE_SPREAD * np.linspace(-2.5, 2.5, _GRID))
    floor, rate = (grid.ravel() for grid in np.meshgrid(floors, rates, indexing="ij"))
    shape = floor[:, None] + (1 - floor[:, None]) * times ** -rate[:, None]
    weight = np.einsum("gs,st,gt->g", shape, precision, shape)
    level = shape @ precision @ errors / weight
    fit = level**2 * weight - np.log(weight)  # the marginal likelihood, but for a constant
    prior = 2 * np.log(1 - floor) - (np.log(rate / _RATE) / _RATE_SPREAD) ** 2
    likely = np.exp(0.5 * (fit + prior - (fit + prior).max()))
    random = np.random.default_rng([seed, 13])
    chosen = random.choice(len(likely), _DRAWS, p=likely / likely.sum())
    error = level[chosen] + random.standard_normal(_DRAWS) / np.sqrt(weight[chosen])
    return np.stack([np.maximum(error, 0.0), floor[chosen], rate[chosen]], 1)
