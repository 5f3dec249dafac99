"""Cross-validation in which nothing is chosen by the rows that it is judged by.

What would have been handed back is chosen for each fold by the rows of the other folds alone, so
what is said of a fold's rows is what the procedure says of rows that took no part in the choice. It
costs no models of its own (Tsamardinos, Greasidou and Borboudakis, Bootstrapping the out-of-sample
predictions for efficient and accurate cross-validation, Machine Learning 107, 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.evidence.beliefs import Prior, believed
from headstart.tasks import Metric

SCORE_OVERLAP = 1.25
GAIN_OVERLAP = 1.5
"""How many times the variance of independent rows that of rows has of which each was scored by a
model that learnt from most of the others; counted as independent they give too narrow an interval
(Bates, Hastie and Tibshirani, Cross-validation: what does it estimate and how well does it do it?,
JASA 119, 2024). There is no unbiased estimate of it (Bengio and Grandvalet, JMLR 5, 2004): these
are the least that hold in `benchmarks/coverage.py`."""


@dataclass(frozen=True)
class Answered:
    """What models of one recipe said of the rows that they did not learn from.

    Attributes
    ----------
    statistics
        (m, …) the metric's, of the rows that are held out once, in their order.
    losses
        (m,) mean loss of the fold that the row is in.
    sure, right
        (m, k) how sure each answer was, and whether it was right; None where answers are no
        decisions.
    """

    statistics: np.ndarray
    losses: np.ndarray
    sure: np.ndarray | None
    right: np.ndarray | None

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {name: None if v is None else v.tolist() for name, v in vars(self).items()}

    @classmethod
    def of(cls, data: dict[str, Any]) -> Answered:
        """Return what `data` gave."""
        statistics, losses = (np.array(data[name]) for name in ("statistics", "losses"))
        sure, right = (None if data[n] is None else np.array(data[n]) for n in ("sure", "right"))
        return cls(statistics, losses, sure, right)

    def score(self, metric: Metric, rows: np.ndarray | slice = slice(None)) -> float:
        """Return the score on some of the rows."""
        some = self.statistics[rows]
        return float(metric.aggregate(some, np.ones((1, len(some))))[0])


def mean_score(
    metric: Metric, repeats: Sequence[Answered], rows: np.ndarray | slice = slice(None)
) -> float:
    """Return the mean of the scores of all deals, on some of the rows."""
    return float(np.mean([one.score(metric, rows) for one in repeats]))


def mean_loss(repeats: Sequence[Answered], rows: np.ndarray | slice = slice(None)) -> float:
    """Return the mean of the losses of all deals, on some of the rows."""
    return float(np.mean([one.losses[rows].mean() for one in repeats]))


def chosen(
    metric: Metric,
    deals: Sequence[np.ndarray],
    tried: Sequence[Sequence[Answered]],
    priors: Sequence[Prior],
) -> list[Answered]:
    """Return what is said of each fold's rows by whichever would lead by the rows of the others.

    The best with a head start, and the best without, is what is believed to be; between these two
    the scores decide. Of equals it is the lesser loss.

    Parameters
    ----------
    deals
        (m,) fold of each row, deal by deal.
    tried
        What each recipe's models said of these rows, deal by deal.
    priors
        What is known of each recipe's models besides.
    """
    return [
        _picked(metric, fold_of, tried, [repeats[number] for repeats in tried], priors)
        for number, fold_of in enumerate(deals)
    ]


def _leader(
    metric: Metric,
    scores: Sequence[float],
    losses: Sequence[float],
    rows: int,
    priors: Sequence[Prior],
) -> int:
    errors = believed(metric, scores, [rows] * len(scores), priors)
    sides = [
        [i for i, prior in enumerate(priors) if (prior.source is None) is from_scratch]
        for from_scratch in (False, True)
    ]
    best = [min(side, key=lambda i: (errors[i], losses[i])) for side in sides if side]
    return max(best, key=lambda i: (metric.signed(scores[i]), -losses[i]))


def _picked(
    metric: Metric,
    fold_of: np.ndarray,
    tried: Sequence[Sequence[Answered]],
    said: Sequence[Answered],
    priors: Sequence[Prior],
) -> Answered:
    """Return of what is said in a deal that of the recipe which leads outside of each fold."""
    best = np.zeros(len(fold_of), np.int64)
    for number in np.unique(fold_of).tolist():
        others = np.flatnonzero(fold_of != number)
        scores = [mean_score(metric, repeats, others) for repeats in tried]
        losses = [mean_loss(repeats, others) for repeats in tried]
        best[fold_of == number] = _leader(metric, scores, losses, len(others), priors)

    def picked(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(parts)[best, np.arange(len(best))]

    decided = all(one.sure is not None for one in said)
    return Answered(
        picked([one.statistics for one in said]),
        picked([one.losses for one in said]),
        picked([one.sure for one in said if one.sure is not None]) if decided else None,
        picked([one.right for one in said if one.right is not None]) if decided else None,
    )
