"""Decisions tuned to a metric: what is added to a model's outputs before they are decided upon.

A model of few examples of a class rarely names it: most accurate, but not what balanced accuracy or
F1 ask for. The offsets are found on validation rows. The score of a trial is taken where each fold
of these rows was decided upon with offsets from the other folds, so that it is not optimistic.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import deal
from headstart.tasks import Metric, TuneDecision

FOLDS = 5
SHIFTS = tuple(0.25 * i for i in range(9))
"""Shares of the log prior that are taken off."""
FEW = 10.0
"""Rows of a label that weigh as much as the threshold common to all labels."""


def out_of_fold(
    tune: TuneDecision,
    outputs: Tensor,
    targets: np.ndarray,
    strata: np.ndarray,
    units: np.ndarray,
    seed: int,
) -> Tensor:
    """Return the outputs, those of each fold with offsets that were tuned on the other folds."""
    order = np.random.default_rng([seed, 7]).permutation(len(targets))
    fold_of = deal(strata, units, order, FOLDS)
    found = outputs.clone()
    for fold in np.unique(fold_of):
        held, rest = fold_of == fold, fold_of != fold
        if rest.any():
            found[held] += tune(outputs[rest], targets[rest])
    return found


def prior_shift(metric: Metric, prior: np.ndarray) -> TuneDecision:
    """Return what finds the share of the log prior that is best taken off the logits.

    One number however many classes, so that few rows settle it (Menon et al., Long-tail learning
    via logit adjustment, ICLR 2021). Of equals the one nearest to no change is taken.
    """
    return partial(_shifted, metric, -torch.from_numpy(np.log(prior)).float())


def _shifted(metric: Metric, against: Tensor, outputs: Tensor, targets: np.ndarray) -> Tensor:
    scores = [metric.signed(metric.score(outputs + share * against, targets)) for share in SHIFTS]
    return SHIFTS[int(np.argmax(scores))] * against


def common_threshold(metric: Metric) -> TuneDecision:
    """Return what finds the one threshold of all labels that is best for a metric.

    For F1 over all decisions no thresholds of the labels' own are better than the best common one,
    given true probabilities (Lipton, Elkan and Naryanaswamy, Optimal thresholding of classifiers to
    maximize F1 measure, ECML 2014).
    """
    return partial(_common, metric)


def _common(metric: Metric, outputs: Tensor, targets: np.ndarray) -> Tensor:
    logits = torch.logit(torch.linspace(0.05, 0.95, 19))
    nearest = sorted(logits.tolist(), key=abs)  # of equals the one nearest to no change
    scores = [metric.signed(metric.score(outputs - logit, targets)) for logit in nearest]
    return torch.full((outputs.shape[1],), -nearest[int(np.argmax(scores))])


def label_thresholds(metric: Metric) -> TuneDecision:
    """Return what finds a threshold for each label, of the greatest F1 of that label.

    The fewer rows have a label, the nearer its threshold is drawn to the one common to all.
    """
    return partial(_by_label, metric)


def _by_label(metric: Metric, outputs: Tensor, targets: np.ndarray) -> Tensor:
    common = _common(metric, outputs, targets)
    own = torch.tensor(
        [-best_threshold(outputs[:, i].numpy(), truth) for i, truth in enumerate(targets.T)]
    ).float()
    there = torch.from_numpy(targets.sum(0)).float()
    return common + there / (there + FEW) * (own.nan_to_num(0.0) - common)


def best_threshold(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold of the greatest F1, halfway between two scores; NaN without positives.

    Parameters
    ----------
    scores, truth
        (n,) a label's logits, and zeros and ones.
    """
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order].astype(np.float64)
    right = np.cumsum(truth[order])
    f1 = 2 * right / (np.arange(1, len(ranked) + 1) + truth.sum())
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    best = int(ends[np.argmax(f1[ends])])
    if best + 1 == len(ranked):
        return float(ranked[best]) - 1.0
    return float(ranked[best] + ranked[best + 1]) / 2
