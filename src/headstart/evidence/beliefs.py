"""What models are believed to be worth: what they scored, and what their recipes brought elsewhere.

Of forty rows many models of a source get all but two right, and which of them gets all but one is
luck. What their recipes brought on other targets is then the better guide; of a thousand rows the
scores are. Both are weighed by how far they are from certain: the mean of the posterior, about a
level that all models of a source tell together (Efron and Morris, Stein's Estimation Rule and Its
Competitors, JASA 68, 1973).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.tasks import Metric

ALIKE = 0.5
"""Share of the luck of rows that is common to all models of a source: a row is hard for all."""
FEWEST = 1e-4
"""The least error that is told from none."""


@dataclass(frozen=True)
class Prior:
    """What is known of a model before its score.

    Attributes
    ----------
    source
        Which it starts from; None is from scratch.
    gain, doubt
        By how much the logarithm of its error is less than that of a linear head on the features
        of this source: mean and standard deviation over targets, which is infinite where nothing
        is known.
    """

    source: str | None
    gain: float = 0.0
    doubt: float = math.inf


def error(metric: Metric, score: float, rows: int) -> tuple[float, float]:
    """Return the logarithm of the error that a score stands for, and the variance of it by luck.

    The error is what is missing to one where greater is better, else the score itself. The variance
    is that of a proportion of `rows`; half a row is missing at least.
    """
    missing = 1 - score if metric.greater_is_better else score
    least = max(FEWEST, 0.5 / max(1, rows)) if metric.greater_is_better else 1e-12
    missing = max(missing, least)
    chance = min(missing, 0.99) if metric.greater_is_better else 0.5
    return math.log(missing), (1 - chance) / (chance * max(1, rows))


def believed(
    metric: Metric, scores: Sequence[float], rows: Sequence[int], priors: Sequence[Prior]
) -> list[float]:
    """Return the expected logarithm of the error of each of several models.

    Parameters
    ----------
    scores
        By the metric.
    rows
        By how many rows each was scored.
    """
    found = [error(metric, score, of) for score, of in zip(scores, rows, strict=True)]
    together = defaultdict[str | None, list[int]](list)
    for i, prior in enumerate(priors):
        together[prior.source].append(i)
    expected = [value for value, _ in found]
    for some in together.values():
        known = [i for i in some if math.isfinite(priors[i].doubt)]
        weights = [1 / (priors[i].doubt ** 2 + (1 - ALIKE) * found[i][1]) for i in known]
        if not known:
            continue
        level = sum(
            weight * (found[i][0] + priors[i].gain)
            for i, weight in zip(known, weights, strict=True)
        ) / sum(weights)
        for i, weight in zip(known, weights, strict=True):
            before = level - priors[i].gain
            expected[i] = before + priors[i].doubt ** 2 * weight * (found[i][0] - before)
    return expected
