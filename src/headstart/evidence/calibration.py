"""Calibration: whether a model is right as often as it is sure, and from when on to rely on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.evidence.intervals import Interval, ends, resamples, wilson

BINS = 10
"""Groups of equally many answers, by how sure they are."""
DRAWS = 400
"""Of answers that are right as often as they are sure."""
PRIOR = 0.5
KEPT = 2_000
"""Decisions that are kept with a model."""
SURE = 0.9
"""With which a wanted precision is kept."""


@dataclass(frozen=True)
class Calibration:
    """How sure answers were beside how often they were right.

    Attributes
    ----------
    error
        Expected calibration error: the mean distance of the two over groups of answers.
    chance
        What the error is exceeded by in one of twenty cases if every answer is right just as often
        as it is sure: few rows always show some.
    groups
        For each group of answers its size, how sure it is on average, and the share that is right
        with its interval: a reliability diagram.
    """

    error: Interval
    chance: float
    groups: tuple[dict[str, float], ...]

    @property
    def off(self) -> bool:
        """Say whether the error is more than chance."""
        return self.error.value > self.chance

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "error": self.error.data(),
            "chance": round(self.chance, 6),
            "off": self.off,
            "groups": list(self.groups),
        }


def temperature(loss: Callable[[float], float], rows: int) -> float:
    """Return what outputs are best divided by, so that their probabilities are right.

    Guo et al., On Calibration of Modern Neural Networks, ICML 2017; with a prior of one, whose
    logarithm has a standard deviation of `PRIOR`: all answers to a few rows may be right, which
    would ask for no temperature at all.

    Parameters
    ----------
    loss
        Mean negative log likelihood of held-out rows at a temperature.
    rows
        How many rows these are.
    """
    from scipy.optimize import minimize_scalar

    def objective(log: float) -> float:
        return rows * loss(math.exp(log)) + log**2 / (2 * PRIOR**2)

    if not math.isfinite(objective(0.0)):
        return 1.0
    return float(math.exp(minimize_scalar(objective, bounds=(-4, 4), method="bounded").x))


def calibration(
    confidence: np.ndarray, right: np.ndarray, units: np.ndarray, seed: int = 0
) -> Calibration:
    """Compare how sure answers are with how often they are right.

    Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using Bayesian Binning,
    AAAI 2015; here in groups of equal size.

    Parameters
    ----------
    confidence
        (n,) probability that the answer was given.
    right
        (n,) whether it was right.
    units
        (n,) rows of equal number are resampled together.
    """
    group = grouped(confidence)
    right = right.astype(np.float64)
    known, unit_of = np.unique(units, return_inverse=True)
    each = np.arange(len(known))
    # sums of each unit are all that resampling needs, however many answers a unit has
    kinds = int(group.max()) + 1
    place = unit_of * kinds + group
    apart = np.bincount(place, right - confidence, len(known) * kinds).reshape(-1, kinds)
    counts = np.bincount(unit_of)
    drawn = np.concatenate(
        [np.abs(weights @ apart).sum(1) / (weights @ counts) for weights in resamples(each, seed)]
    )
    random = np.random.default_rng([seed, 15])
    # answers of one unit are right or wrong together, as far as their confidence lets them
    by_chance = [
        error(confidence, random.random(len(known))[unit_of] < confidence, group)
        for _ in range(DRAWS)
    ]
    value = error(confidence, right, group)
    low, high = ends(drawn)
    return Calibration(
        Interval(value, min(low, value), max(high, value)),
        float(np.quantile(by_chance, 0.95)),
        tuple(_described(confidence[group == g], right[group == g]) for g in np.unique(group)),
    )


def grouped(confidence: np.ndarray) -> np.ndarray:
    """Return the group of each answer: equally many in each, those equally sure in one."""
    edges = np.unique(np.quantile(confidence, np.arange(1, BINS) / BINS))
    return np.searchsorted(edges, confidence, side="right")


def error(confidence: np.ndarray, right: np.ndarray, group: np.ndarray) -> float:
    """Return the expected calibration error of (n,) answers in groups."""
    return float(np.abs(np.bincount(group, right - confidence)).sum()) / len(confidence)


def _described(confidence: np.ndarray, right: np.ndarray) -> dict[str, float]:
    share = wilson(float(right.sum()), len(right))
    return {"rows": len(right), "confidence": round(float(confidence.mean()), 6), **share.data()}


@dataclass(frozen=True)
class Decisions:
    """What a model decided about rows that it did not learn from, at most `KEPT` of them.

    Attributes
    ----------
    sure, right
        (n,) probability that each decision was given, and whether it was right.
    """

    sure: np.ndarray
    right: np.ndarray

    @classmethod
    def of(
        cls, sure: np.ndarray | None, right: np.ndarray | None, seed: int = 0
    ) -> Decisions | None:
        """Return decisions given as (n, k); None where there is not just one a row."""
        if sure is None or right is None or sure.shape[1] != 1 or not len(sure):
            return None
        rows = np.arange(len(sure))
        if len(rows) > KEPT:
            rows = np.sort(np.random.default_rng([seed, 17]).choice(rows, KEPT, replace=False))
        return cls(sure[rows, 0], right[rows, 0])

    def data(self) -> dict[str, list[Any]]:
        """Return them as JSON data."""
        return {
            "sure": [round(float(one), 6) for one in self.sure],
            "right": [int(one) for one in self.right],
        }


def threshold_for(
    precision: float, confidence: Sequence[float] | np.ndarray, right: Sequence[bool] | np.ndarray
) -> float | None:
    """Return how sure a model must be for its answers to be right in so many cases.

    From the surest answers on, thresholds are tested one after the other, each at level `SURE`, and
    the last one that stands is taken: so the promise holds with that probability, however many are
    tested (Angelopoulos et al., Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
    Control, Annals of Applied Statistics 19, 2025).

    Parameters
    ----------
    precision
        Wanted share of right answers among those that are given, below 1.
    confidence, right
        (n,) of answers that the model did not learn from.

    Returns
    -------
    None where the rows are too few, or the model too often wrong, to promise it.
    """
    from scipy.stats import beta

    sure = np.asarray(confidence, np.float64)
    order = np.argsort(-sure, kind="stable")
    sure, hits = sure[order], np.cumsum(np.asarray(right, np.float64)[order])
    last = np.flatnonzero(np.append(sure[1:] < sure[:-1], True))  # equally sure ones come together
    given, correct = last + 1, hits[last]
    wrong = given - correct
    lowest = np.where(correct > 0, beta.ppf(1 - SURE, correct, wrong + 1), 0.0)
    # so few that they could promise nothing if all were right are not tested
    able = np.flatnonzero((1 - SURE) ** (1 / given) >= precision)
    if not len(able):
        return None
    standing = lowest[able] >= precision
    count = len(standing) if standing.all() else int(np.argmin(standing))
    return float(sure[last[able[count - 1]]]) if count else None
