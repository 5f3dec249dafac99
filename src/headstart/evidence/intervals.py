"""Intervals of scores: Wilson's for simple proportions, the bootstrap by unit for all others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from torch import Tensor

from headstart.tasks import Metric

LEVEL = 0.95
RESAMPLES = 2_000
_CHUNK = 100
_SMALL = 1e-3
_NOTHING = 0.1
"""Rows that a single unit counts for."""


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float

    def data(self) -> dict[str, float]:
        """Return the three figures as JSON data."""
        found = {"value": self.value, "low": self.low, "high": self.high}
        if max(map(abs, found.values())) < _SMALL:  # an error may be measured in small units
            return {name: float(f"{value:.6g}") for name, value in found.items()}
        return {name: round(value, 6) for name, value in found.items()}

    def __str__(self) -> str:
        return f"{figure(self.value)} [{figure(self.low)}, {figure(self.high)}]"


def figure(value: float, sign: str = "") -> str:
    """Return a score as it is shown: three decimals, or three digits where those say nothing.

    `sign` is ``"+"`` where a plus is to be shown too.
    """
    plain = value == 0 or _SMALL / 2 <= abs(value) < 10_000
    return f"{value:{sign}.3f}" if plain else f"{value:{sign}.3g}"


def wilson(right: float, of: float, level: float = LEVEL) -> Interval:
    """Return Wilson's score interval for `right` successes among `of` independent trials.

    Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927.
    """
    from scipy.stats import norm

    z = float(norm.ppf(0.5 + level / 2))
    p = right / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    # at 0 and 1 rounding must not push an end past the value
    return Interval(p, min(p, max(0.0, middle - half)), max(p, min(1.0, middle + half)))


def score_interval(
    metric: Metric, outputs: Tensor, targets: np.ndarray, units: np.ndarray, seed: int = 0
) -> Interval:
    """Return a score with its 95% interval.

    Parameters
    ----------
    outputs, targets
        (n, …) raw outputs and (n,) targets of the same rows.
    units
        (n,) rows of equal number (a patient, duplicates) are resampled together.
    """
    return repeated_interval(metric, [metric.statistics(outputs, targets)], units, seed)


def repeated_interval(
    metric: Metric,
    repeats: Sequence[np.ndarray],
    units: np.ndarray,
    seed: int = 0,
    overlap: float = 1.0,
) -> Interval:
    """Return the mean score of repeats on the same rows, with its 95% interval.

    Parameters
    ----------
    repeats
        (n, …) statistics of the rows, once a repeat.
    units
        (n,) rows of equal number are resampled together.
    overlap
        How many times its variance is that of independent rows.
    """
    n, m = len(units), len(np.unique(units))

    def mean(weights: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.mean([metric.aggregate(rows, weights) for rows in repeats], 0)
        return found

    value = float(mean(np.ones((1, n)))[0])
    if metric.proportion and m == n:
        return wilson(value * n / overlap, n / overlap)
    drawn = np.concatenate([mean(weights) for weights in resamples(units, seed)])
    if metric.proportion:
        fewer = overlap * together(drawn, value * (1 - value) / n, n, m, LEVEL)
        return wilson(value * n / fewer, n / fewer)
    wider = widened(max(2, m), LEVEL) * sqrt(overlap)  # the spread of one unit is not known
    low, high = ends(value + (drawn - value) * wider)
    return Interval(value, min(low, value), max(high, value))


def widened(units: int, level: float) -> float:
    """Return how much wider an interval is of so few units than the bootstrap's percentiles say.

    The bootstrap falls short by sqrt((m - 1) / m) for m units, and takes their spread for known:
    Student's quantile takes the place of the normal one (Hesterberg, What teachers should know
    about the bootstrap, The American Statistician 69, 2015). There are two units at least.
    """
    from scipy.stats import norm, t

    tail = 0.5 + level / 2
    return sqrt(units / (units - 1)) * float(t.ppf(tail, units - 1) / norm.ppf(tail))


def together(
    drawn: np.ndarray, independent: float, rows: int, units: int, level: float = LEVEL
) -> float:
    """Return of how many rows that belong together one counts: the design effect, at least one.

    Korn and Graubard, Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data, Survey Methodology 24, 1998. Of one unit nothing is known:
    all of its rows count as less than one.

    Parameters
    ----------
    drawn
        Values on samples in which whole units are drawn.
    independent
        The variance that the value would have of so many independent rows.
    """
    if units < 2:
        return rows / _NOTHING
    if independent <= 0:  # all alike: then units count, and not their rows
        return rows / units
    return widened(units, level) ** 2 * max(1.0, float(np.var(drawn)) / independent)


def by_subgroup(
    metric: Metric,
    outputs: Tensor,
    targets: np.ndarray,
    units: np.ndarray,
    subgroups: Sequence[str],
    seed: int = 0,
) -> dict[str, dict[str, float]]:
    """Return rows and score with interval of each subgroup, as JSON data; the largest first.

    Many subgroups make it likely that one of them stands out by chance: intervals are each for
    itself.
    """
    names = np.array(subgroups)
    found = {}
    for name, _ in Counter(subgroups).most_common():
        rows = np.flatnonzero(names == name)
        score = score_interval(metric, outputs[rows], targets[rows], units[rows], seed)
        found[name or "(empty)"] = {"rows": len(rows), **score.data()}
    return found


def resamples(units: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yield (chunk, n) row weights of `RESAMPLES` samples in which whole units are drawn."""
    random = np.random.default_rng([seed, 95])
    _, unit_of = np.unique(units, return_inverse=True)
    total = int(unit_of.max()) + 1
    even = np.full(total, 1 / total)
    for start in range(0, RESAMPLES, _CHUNK):
        drawn = random.multinomial(total, even, size=min(_CHUNK, RESAMPLES - start))
        yield drawn[:, unit_of].astype(np.float64)


def ends(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Return the percentiles that leave out half of ``1 - level`` on either side."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
